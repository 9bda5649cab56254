"""The programs everybody writes when learning sockets, on Tieline. Each is a file here, which `examples/` shows too."""

from importlib import import_module
from types import ModuleType

NAMES = (
    "upper",
    "upper-udp",
    "welcome",
    "stamp",
    "verified-json",
    "verified-hello",
    "talk",
    "datagram-talk",
    "upload",
    "command",
    "groupchat",
    "counter-demo",
)


def program(name: str) -> ModuleType:
    """The module of this program; its `main(arguments)` runs it until Ctrl-C."""
    return import_module(f"{__name__}.{name.replace('-', '_')}")


def about(name: str) -> str:
    """What the program does, in a sentence."""
    return (program(name).__doc__ or "").partition("\n")[0]

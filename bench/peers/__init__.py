"""The contenders by name: the module that speaks for each, and how to get what it needs. A missing one is left out."""

import importlib
import importlib.util
import inspect
import shutil
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol


class Caller(Protocol):
    """One logged-in connection that can greet."""

    async def call(self, name: str) -> str: ...
    async def close(self) -> None: ...


class BlockingCaller(Protocol):
    """The same of a contender that blocks: its `connect` is a plain function too."""

    def call(self, name: str) -> str: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Contender:
    """`calls` modules offer serve(tls, announce) and connect(port, tls, in_flight) -> Caller; `fanout` modules offer
    start, subscribe, publisher, publish, delivered (see coalescing.py, the shortest)."""

    name: str
    module: str
    imports: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    get: str = ""

    def missing(self) -> str | None:
        absent = [name for name in self.imports if not _importable(name)]
        absent += [name for name in self.programs if find_program(name) is None]
        return f"{self.name} is left out: no {', '.join(absent)} here. {self.get}" if absent else None

    def load(self) -> ModuleType | Any:
        return importlib.import_module(self.module)

    def blocks(self) -> bool:
        """Whether its callers are threads, each waiting for one answer."""
        return not inspect.iscoroutinefunction(self.load().connect)


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def find_program(name: str) -> str | None:
    """Like `which`, and in the sbin folders too, where distributions put daemons."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def _here(name: str, module: str, *imports: str, programs: tuple[str, ...] = (), get: str = "") -> Contender:
    return Contender(name, f"bench.{module}", imports, programs, get)


_NATS = "Get it: apt install nats-server, or https://nats.io/download; pip install nats-py"

CALLS = [
    _here("raw", "peers.raw"),
    _here("streams", "peers.streams", "uvloop"),
    _here("websockets", "peers.websockets_json", "websockets", get="Get it: pip install websockets"),
    _here("picows", "peers.picows_msgspec", "picows", "msgspec", get="Get it: pip install picows msgspec"),
    _here("zeromq", "peers.zeromq", "zmq", "msgspec", get="Get it: pip install pyzmq msgspec"),
    _here("rpyc", "peers.rpyc_threads", "rpyc", get="Get it: pip install rpyc"),
    _here("nats", "peers.nats_requests", "nats", programs=("nats-server",), get=_NATS),
    _here("tieline", "tieline_peer", "tieline.client", "tieline.server"),
]

RELAYED = [
    *(one for one in CALLS if one.name in ("nats", "tieline")),
    _here("relayed", "relayed_peer", "tieline.client", "tieline.server"),
]

FANOUT = [
    _here("coalescing", "peers.coalescing", "uvloop"),
    _here("nats", "peers.nats_fanout", programs=("nats-server",), get=_NATS),
    _here("ngircd", "peers.ngircd", programs=("ngircd",), get="Get it: apt install ngircd"),
    _here("mosquitto", "peers.mosquitto", programs=("mosquitto",), get="Get it: apt install mosquitto"),
    _here("tieline", "tieline_fanout", "tieline.client", "tieline.server"),
]

IDLE = [one for one in CALLS if one.name in ("streams", "websockets", "picows", "tieline")]


def named(contenders: list[Contender], name: str) -> Contender:
    return next(one for one in contenders if one.name == name)

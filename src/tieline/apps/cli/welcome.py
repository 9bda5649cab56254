"""What a server says when it is up: what to type or open next, in one tidy screen. Pure but for `show`."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import which

from tieline.apps.networks import own_interfaces
from tieline.transports.address import Address, parse
from tieline.version import __version__
from tieline.wire.safe_text import safe_text

from .output import note

_TWO_COLUMNS = 60
"Columns of a terminal where labels stand beside what they are of, and not above."
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Running:
    """What is known of the server that was started."""

    name: str
    addresses: Sequence[str]
    data: Path
    pin: str
    allow_plain: bool = False
    guests: bool = False
    owner: str = ""
    ticket: str = ""
    "The owner's, at the first start only."
    found: bool = True
    "Commands of this user find the server's socket without being told."
    program: str = "tieline"
    "What to type for it here: its path, where the shell would not find it by its name."


@dataclass(frozen=True)
class Line:
    """A label, and what to type or open."""

    label: str
    text: str


def program(folder: Path, here: Path) -> str:
    """What to type for the `tieline` that is installed in `folder`: `make serve` makes an environment of its own."""
    script = folder / "tieline"
    if which("tieline") or not script.exists():
        return "tieline"
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def reachable(addresses: Sequence[str]) -> list[Address]:
    """The places at which other machines find the server; an address of all interfaces becomes one for each."""
    places: dict[str, Address] = {}
    for address in map(parse, addresses):
        if address.scheme == "unix" or address.host in LOOPBACK:
            continue
        hosts = [address.host]
        if address.host in ("", "0.0.0.0", "::"):
            versions = {"0.0.0.0": (4,)}.get(address.host, (4, 6))
            hosts = [str(each.ip) for each in own_interfaces() if each.version in versions]
        for host in hosts:
            place = Address(scheme="tls", host=host, port=address.port)
            places.setdefault(place.where, place)
    return list(places.values())


def local_port(addresses: Sequence[str]) -> int | None:
    """The port at which this machine itself finds the server in plain text, if there is one."""
    for address in map(parse, addresses):
        if address.scheme == "tcp" and address.host in ("", "0.0.0.0", "::", *LOOPBACK):
            return address.port
    return None


def lines(running: Running) -> Iterator[Line]:
    """What to say, in the order of what a newcomer wants next."""
    elsewhere, port = reachable(running.addresses), local_port(running.addresses)
    typed = running.program if running.found else f"TIELINE_DATA={running.data} {running.program}"
    yield Line("talk here", f"{typed} chat")
    yield Line("invite somebody", f"{typed} invite NAME")
    if port is not None:
        yield Line("without installing", f"nc localhost {port}")
    if elsewhere:
        first = elsewhere[0].where
        label = "  from elsewhere" if port else "without installing"
        yield Line(label, f"openssl s_client -quiet -connect {first}")
    if port is not None:
        yield Line("web page", f"http://localhost:{port}/")
    if elsewhere:
        yield Line("" if port else "web page", f"https://{elsewhere[0].where}/")
    yield from _facts(running, elsewhere)


def _facts(running: Running, elsewhere: Sequence[Address]) -> Iterator[Line]:
    yield Line("", "")
    places = [place.where for place in elsewhere]
    for label, place in zip(["reachable at", *[""] * len(places)], places or ["this machine only"], strict=False):
        yield Line(label, place)
    if running.guests:
        yield Line("guests", "may come in and chat without an account")
    if running.allow_plain:
        yield Line("plain text", "is served to other machines too: it can be read on the way")
    yield Line("certificate pin", running.pin)
    yield Line("data", str(running.data))
    yield Line("stop", "Ctrl-C")


def show(running: Running) -> None:
    """Say it on stderr: with colours on a terminal, plain elsewhere. The ticket stands on a line of its own, whole."""
    if sys.stderr.isatty():
        _show_rich(running)
    else:
        note("\n".join(plain(running)))


def plain(running: Running) -> Iterator[str]:
    """The screen as lines of plain text."""
    yield f"tieline {__version__}: {safe_text(running.name)} is up"
    yield ""
    if running.ticket:
        yield f"  {_ticket_remark(running)}"
        yield ""
        yield f"  tieline join '{running.ticket}'"
        yield ""
    for line in lines(running):
        yield f"  {line.label:<20}{line.text}".rstrip()


def _ticket_remark(running: Running) -> str:
    return f"{running.owner}'s first ticket, for another machine (shown once, good once, for a day):"


def _show_rich(running: Running) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    narrow = console.width < _TWO_COLUMNS
    say = partial(console.print, soft_wrap=True)  # the terminal may break a line, but what is copied is one word
    say()
    say(Text.assemble(("tieline ", "bold"), (__version__, "dim"), "  ", (running.name, "bold green"), " is up"))
    say()
    if running.ticket:
        say(Text(f"  {_ticket_remark(running)}"))
        say(Text(f"\n  tieline join '{running.ticket}'\n", "bold"))
    facts = False
    for line in lines(running):
        facts = facts or not (line.label or line.text)
        label = f"  {line.label}\n    " if narrow and line.label.strip() else f"  {line.label:<{2 if narrow else 20}}"
        say(Text.assemble((label, "dim"), (line.text, "" if facts else "bold cyan")))
    say()

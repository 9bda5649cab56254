"""What time it is here, and messages sent back with it."""

import time
from collections.abc import Callable
from datetime import datetime, tzinfo

import msgspec

from tieline.rpc.handlers import Handlers


class Now(msgspec.Struct, frozen=True):
    """One moment, for programs and for people."""

    unix: float
    iso: str


def install(handlers: Handlers, clock: Callable[[], float] = time.time, zone: tzinfo | None = None) -> None:
    """For everybody who is logged in. `clock` gives unix seconds; `zone` None is this machine's own."""

    def here(seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, zone).astimezone(zone)

    def now() -> Now:
        """The server's time: unix seconds, and ISO 8601 with the offset of the server's zone."""
        seconds = clock()
        return Now(seconds, here(seconds).isoformat(timespec="milliseconds"))

    def stamp(text: str) -> str:
        """The text behind the server's local time, as in "[2026-11-20 10:15:00]:text"."""
        return f"[{here(clock()):%Y-%m-%d %H:%M:%S}]:{text}"

    handlers.add(now, "clock.now")
    handlers.add(stamp, "clock.stamp")

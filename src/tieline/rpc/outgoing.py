"""A stream that goes out: items become frames, no faster than the peer's credit and the socket allow."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable
from typing import Any

from tieline.limits import KiB
from tieline.link.frame_link import FrameLink
from tieline.wire.frames import Kind
from tieline.wire.messages import encode

log = logging.getLogger("tieline.calls")
_DATA, _ITEM, _END = int(Kind.DATA), int(Kind.ITEM), int(Kind.END)
_RAW = (bytes, bytearray, memoryview)
_GATHER = 64 * KiB
"Bytes written together at most: a source that never waits would otherwise pile up all its credit here."


class Outlet:
    """The sending end of one stream of bytes, for a source that has no step to make for each piece of them."""

    __slots__ = ("_channel", "_link", "_outgoing", "_unflushed")

    def __init__(self, outgoing: "Outgoing", link: FrameLink, channel: int) -> None:
        self._outgoing = outgoing
        self._link = link
        self._channel = channel
        self._unflushed = 0

    @property
    def room(self) -> int:
        """Bytes that may be written now: a frame of them, or 0 while credit or the socket are used up."""
        session = self._link.session
        return 0 if self._link.stream.paused or session.credit(self._channel) <= 0 else session.peer_frame

    def write(self, data: bytes | memoryview) -> None:
        """Send at most `room` bytes; they are copied."""
        self._link.session.send(Kind.DATA, self._channel, data)
        self._unflushed += len(data)
        if self._unflushed < _GATHER:
            self._link.flush_soon()
        else:
            self._unflushed = 0
            self._link.flush()

    def conclude(self, *last: Any) -> None:
        """End the stream now, with these as its last items; there must be room. Its handler, which gets to its own end
        some turns of the loop later, then has nothing more to say. `flush()` sends it."""
        session = self._link.session
        for item in last:
            session.send(_ITEM, self._channel, encode(item))
        session.send(_END, self._channel)

    def flush(self) -> None:
        """What was said leaves now, and not at the end of this turn."""
        self._link.flush()

    async def ready(self) -> bool:
        """Wait until there is room. False when nobody reads this stream any more."""
        session = self._link.session
        while session.is_open(self._channel) and not self.room:
            await (self._outgoing.drained() if self._link.stream.paused else self._outgoing.credit(self._channel))
        return session.is_open(self._channel)


class Pourable(ABC):
    """What a handler's stream may yield in place of many pieces of bytes: it writes them itself."""

    __slots__ = ()

    @abstractmethod
    async def pour(self, outlet: Outlet) -> None:
        """Write until there is no more, or until the outlet is never ready again."""


class Outgoing:
    """All outgoing streams of one link: who waits for credit, and who waits for the socket to drain."""

    __slots__ = ("_drained", "_followers", "_link", "_waiting")

    def __init__(self, link: FrameLink) -> None:
        self._link = link
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._drained: list[asyncio.Future[None]] = []
        self._followers: dict[int, Callable[[], None]] = {}  # relays, which go on by callback

    async def pump(self, channel: int, source: AsyncIterable[Any]) -> None:
        """Send every item of `source`; bytes go raw. Returns early when the channel is over. Does not send END."""
        session = self._link.session
        gathered = 0
        async for item in source:
            if isinstance(item, Pourable):
                await item.pour(Outlet(self, self._link, channel))
                continue
            raw = isinstance(item, _RAW)
            payload = bytes(item) if raw else encode(item)
            if session.credit(channel) <= 0:
                await self.credit(channel)
            if not session.send(_DATA if raw else _ITEM, channel, payload):
                return
            gathered += len(payload)
            if gathered < _GATHER:
                self._link.flush_soon()
            else:
                self._link.flush()
                gathered = 0
            if self._link.stream.paused:
                await self.drained()

    def credited(self, channel: int) -> None:
        """More may be sent on the channel, or it is over."""
        waiter = self._waiting.get(channel)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        elif channel in self._followers:
            self._followers[channel]()

    def follow(self, channel: int, go_on: Callable[[], None]) -> None:
        """Call `go_on()` whenever the channel is given credit, until `unfollow`."""
        self._followers[channel] = go_on

    def unfollow(self, channel: int) -> None:
        self._followers.pop(channel, None)

    def drained(self) -> "asyncio.Future[None]":
        """Done when the socket has drained."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drained.append(waiter)
        return waiter

    def writable(self) -> None:
        """The socket has drained."""
        waiters, self._drained = self._drained, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def credit(self, channel: int) -> None:
        """Wait until more may be sent on the channel, or it is over."""
        session = self._link.session
        while session.credit(channel) <= 0 and session.is_open(channel):
            self._waiting[channel] = asyncio.get_running_loop().create_future()
            try:
                await self._waiting[channel]
            finally:
                self._waiting.pop(channel, None)


async def close_source(source: Any) -> None:
    """Run the `finally` blocks of a generator that was not read to its end now, not when it is collected."""
    close = getattr(source, "aclose", None)
    if close is not None:
        try:
            await close()
        except Exception:  # the generator is the user's; the call is over whatever it raises
            log.warning("closing a stream that was sent failed", exc_info=True)

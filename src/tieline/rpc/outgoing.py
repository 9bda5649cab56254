"""A stream that goes out: items become frames, no faster than the peer's credit and the socket allow."""

import asyncio
import logging
from collections.abc import AsyncIterable
from typing import Any

import msgspec

from tieline.limits import KiB
from tieline.link.frame_link import FrameLink
from tieline.wire.frames import Kind

log = logging.getLogger("tieline.calls")
_encode = msgspec.msgpack.Encoder().encode
_DATA, _ITEM = int(Kind.DATA), int(Kind.ITEM)
_RAW = (bytes, bytearray, memoryview)
_GATHER = 64 * KiB
"Bytes written together at most: a source that never waits would otherwise pile up all its credit here."


class Outgoing:
    """All outgoing streams of one link: who waits for credit, and who waits for the socket to drain."""

    __slots__ = ("_drained", "_link", "_waiting")

    def __init__(self, link: FrameLink) -> None:
        self._link = link
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._drained: list[asyncio.Future[None]] = []

    async def pump(self, channel: int, source: AsyncIterable[Any]) -> None:
        """Send every item of `source`; bytes go raw. Returns early when the channel is over. Does not send END."""
        session = self._link.session
        gathered = 0
        async for item in source:
            raw = isinstance(item, _RAW)
            payload = bytes(item) if raw else _encode(item)
            if session.credit(channel) <= 0:
                await self._credit(channel)
            if not session.send(_DATA if raw else _ITEM, channel, payload):
                return
            gathered += len(payload)
            if gathered < _GATHER:
                self._link.flush_soon()
            else:
                self._link.flush()
                gathered = 0
            if self._link.stream.paused:
                await self._drain()

    def credited(self, channel: int) -> None:
        """More may be sent on the channel, or it is over."""
        waiter = self._waiting.get(channel)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def writable(self) -> None:
        """The socket has drained."""
        waiters, self._drained = self._drained, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _credit(self, channel: int) -> None:
        session = self._link.session
        while session.credit(channel) <= 0 and session.is_open(channel):
            self._waiting[channel] = asyncio.get_running_loop().create_future()
            try:
                await self._waiting[channel]
            finally:
                self._waiting.pop(channel, None)

    async def _drain(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._drained.append(waiter)
        await waiter


async def close_source(source: Any) -> None:
    """Run the `finally` blocks of a generator that was not read to its end now, not when it is collected."""
    close = getattr(source, "aclose", None)
    if close is not None:
        try:
            await close()
        except Exception:
            log.warning("closing a stream that was sent failed", exc_info=True)

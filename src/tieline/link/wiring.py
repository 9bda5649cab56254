"""The half of a link that faces the stream: bytes come and are kept within a bound, bytes go, and how it ended.

`Link` is the half that faces the program. Apart from it, because everything here runs in the loop's callbacks.
"""

import asyncio
from collections.abc import Callable
from typing import Self

from tieline.errors import LinkClosed
from tieline.limits import Limits
from tieline.link.lingering import Lingering
from tieline.link.parting import parting
from tieline.link.silence import Silence
from tieline.transports.stream import Stream
from tieline.wire.inbox import Inbox


class Wiring:
    """A stream's receiver. Bytes pile up in `_inbox` up to `Limits.window`, then the stream is not read from."""

    __slots__ = (
        "_closing",
        "_gone",
        "_inbox",
        "_limits",
        "_loop",
        "_outgoing",
        "_outgoing_size",
        "_reading",
        "_senders",
        "_sending_file",
        "_shut",
        "_silence",
        "_stream",
        "_waiter",
        "end",
        "on_open",
    )

    def __init__(self, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._inbox = Inbox(limit=limits.frame)
        self.end: str | None = None
        "Why it ended, in words; None while messages may still come."
        self.on_open: Callable[[], object] | None = None
        "Called once the stream is there; for who made the link."
        self._stream: Stream
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._closing = False  # nothing more is sent
        self._shut = False  # by us: close() or abort() was called
        self._reading = True
        self._waiter: asyncio.Future[None] | None = None  # of the one who receives
        self._senders: list[asyncio.Future[None]] = []  # who wait until the peer reads on
        self._sending_file = False
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self._silence: Silence | None = None

    def close(self, reason: str = "closed by this side") -> None:
        """Send what waits, then close. What has come and was not received is thrown away."""
        if self._shut:
            return
        self.flush()
        peer_finished = self._inbox.ended
        self._end_here(reason)
        Lingering(self._stream, self._gone, self._limits.drain).begin(peer_finished)

    def abort(self, reason: str = "cut by this side") -> None:
        """Close now; what waits to be sent is lost, and the peer may see a reset."""
        self._end_here(reason)
        self._outgoing.clear()
        self._stream.abort()

    async def wait_closed(self) -> None:
        """Until the transport is gone. Call `close()` first."""
        await asyncio.shield(self._gone)

    def on_gone(self, tell: Callable[[Self], object]) -> None:
        """Call `tell` with this link once its transport is gone."""
        self._gone.add_done_callback(lambda _: tell(self))

    def flush(self) -> None:
        """Hand what was sent to the transport now, rather than at the end of this turn of the loop."""
        outgoing = self._outgoing
        if outgoing:
            data = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
            outgoing.clear()
            self._outgoing_size = 0
            self._stream.write(data)

    # -- called by the stream ------------------------------------------------------------------------------------

    def opened(self, stream: Stream) -> None:
        self._stream = stream
        if self._limits.idle:
            self._silence = Silence(stream, self._limits.idle, self._silent)
        if self.on_open is not None:
            self.on_open()
            self.on_open = None

    def received(self, data: bytes | memoryview) -> None:
        inbox = self._inbox
        if inbox.ended:
            return  # closed by this side: read and thrown away, since unread bytes would turn the close into a reset
        if inbox._data:
            inbox.feed(data)
        else:
            inbox._data = bytes(data)  # the same, and nearly always so
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif self._reading and len(inbox) > self._limits.window:
            self._reading = False
            self._stream.pause_reading()

    def finished(self) -> None:
        self._inbox.ended = True
        self._wake()

    def ended(self, error: Exception | None) -> None:
        self._inbox.ended = self._closing = True
        self._outgoing.clear()
        if self._silence is not None:
            self._silence.stop()
        if error is not None and self.end is None:
            self.end = parting(error)
        if not self._gone.done():
            self._gone.set_result(None)
        self._wake()
        self.writable(True)

    def writable(self, yes: bool) -> None:
        if yes:
            senders, self._senders = self._senders, []
            for sender in senders:
                if not sender.done():
                    sender.set_result(None)

    # -- its end -------------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        """Bytes past the codec, in order with the messages; never waits."""
        self._outgoing.append(data)
        self.flush()

    def _end_here(self, reason: str) -> None:
        self._shut = self._closing = True
        self.end = self.end or reason
        self._inbox.ended = True
        self._inbox.clear()
        self._wake()
        self.writable(True)

    def _silent(self) -> None:
        self.abort(f"silent for {self._limits.idle:g} s")

    # -- waiting -------------------------------------------------------------------------------------------------

    async def _more(self) -> bool:
        """Wait for bytes; False when none will come. Cancelling is safe."""
        if self._inbox.ended:
            return False
        await self._arrival()
        return True

    def _arrival(self) -> "asyncio.Future[None]":
        """Done when more bytes have come, or will never come. What was sent goes out first: an answer is awaited."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError(f"another task already receives from {self!r}")
        if self._outgoing:
            self.flush()
        if not self._reading:
            self._reading = True
            self._stream.resume_reading()
        self._waiter = waiter = self._loop.create_future()
        return waiter

    async def _drained(self) -> None:
        """Wait until the peer has read on. Raises LinkClosed when it never will."""
        sender = self._loop.create_future()
        self._senders.append(sender)
        await sender
        if self._gone.done():
            raise self._over()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _over(self) -> LinkClosed:
        return LinkClosed(self.end or ("this side has finished sending" if not self._gone.done() else parting(None)))

    def _cut_off(self, where: str) -> None:
        """The peer's last byte was used: say how it ended, and in the middle of what, if it was."""
        if self.end is None:
            self.end = f"{parting(None)} {where}".rstrip()
        elif where and not self._shut:
            self.end = f"{self.end} {where}"
        self._inbox.clear()

"""Closing without losing the last words.

A socket closed while the peer still sends answers with a reset, and with it what we sent and the peer has not yet
acknowledged is gone. So: say that we are finished, read on and throw away, and close once the peer's machine has all.
"""

import asyncio

from tieline.transports.sockets import unacknowledged
from tieline.transports.stream import Stream

_FIRST, _LONGEST = 0.001, 0.1  # seconds between looks


class Lingering:
    """`gone` is the link's: done when the stream is. After `deadline` seconds the stream is cut."""

    __slots__ = ("_deadline", "_gone", "_loop", "_pause", "_stream", "_timer")

    def __init__(self, stream: Stream, gone: "asyncio.Future[None]", deadline: float) -> None:
        self._stream = stream
        self._gone = gone
        self._deadline = deadline
        self._pause = 0.0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, peer_finished: bool) -> None:
        if self._gone.done():
            return
        cut = self._loop.call_later(self._deadline, self._stream.abort)
        self._gone.add_done_callback(lambda _: cut.cancel())
        if peer_finished or self._stream.info.kind != "tcp" or not self._stream.bytes_out:
            self._stream.close()
            return
        self._stream.finish()
        self._stream.resume_reading()
        self._look()

    def _look(self) -> None:
        if self._gone.done():
            return
        transport = self._stream.transport
        sock = transport.get_extra_info("socket") if transport is not None else None
        if sock is None or not (self._stream.buffered() or unacknowledged(sock)):
            self._stream.close()
            return
        self._pause = min(_LONGEST, self._pause * 2 or _FIRST)
        self._loop.call_later(self._pause, self._look)

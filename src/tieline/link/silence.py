"""The idle deadline of a link: nothing came and nothing went for so long."""

import asyncio
from collections.abc import Callable

from tieline.transports.stream import Stream

_LOOKS = 4  # in one period: a silent link is ended at most a quarter of it late


class Silence:
    """Looks at the stream's counters now and then; `then` is called once, after `seconds` without a byte."""

    __slots__ = ("_loop", "_seconds", "_seen", "_stream", "_then", "_timer", "_unchanged", "moved")

    def __init__(self, stream: Stream, seconds: float, then: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._seconds = seconds
        self._then = then
        self._unchanged = 0
        self.moved = 0
        "Bytes that went around the stream, in a thread."
        self._seen = self._counters()
        self._timer = self._loop.call_later(seconds / _LOOKS, self._look)

    def stop(self) -> None:
        self._timer.cancel()

    def _counters(self) -> tuple[int, int, int, int]:
        # What waits shrinks while a slow peer reads: that is no silence.
        return self._stream.bytes_in, self._stream.bytes_out, self._stream.buffered(), self.moved

    def _look(self) -> None:
        seen = self._counters()
        self._unchanged = self._unchanged + 1 if seen == self._seen else 0
        self._seen = seen
        if self._unchanged >= _LOOKS:
            self._then()
        else:
            self._timer = self._loop.call_later(self._seconds / _LOOKS, self._look)

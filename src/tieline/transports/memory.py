"""Two ends of a stream in one process: what one writes, the other receives in the loop's next turn.

Back-pressure is real: a writer is paused while its peer does not read, as over a socket.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from tieline.errors import AddressError, DialFailed
from tieline.limits import DEFAULT, Limits
from tieline.transports.endpoint import MEMORY, Endpoint
from tieline.transports.stream import Receiver, Stream


class MemoryStream(Stream):
    """A `Stream` whose transport is another `MemoryStream`. Made in pairs by `pair()`."""

    __slots__ = (
        "_closed",
        "_finished",
        "_loop",
        "_other",
        "_reading",
        "_scheduled",
        "_told",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(self, receiver: Receiver, *, limits: Limits = DEFAULT, info: Endpoint = MEMORY) -> None:
        super().__init__(receiver, limits=limits)
        self.info = info
        self._loop = asyncio.get_running_loop()
        self._other: MemoryStream
        self._waiting: deque[bytes] = deque()  # written by the other end, not yet received here
        self._waiting_bytes = 0
        self._reading = True
        self._scheduled = False
        self._closed = False
        self._finished = False  # we write no more
        self._told = False  # that the other end does not

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed or self._finished or not len(data):
            return
        self.bytes_out += len(data)
        other = self._other
        if other._closed:
            return  # as into a socket whose peer has gone: we hear of it in a moment
        other._waiting.append(bytes(data))
        other._waiting_bytes += len(data)
        if other._waiting_bytes > self._limits.send_buffer and not self.paused:
            self.paused = True
            self._receiver.writable(False)
        other._schedule()

    def buffered(self) -> int:
        return self._other._waiting_bytes

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._end, None)
            self._other._schedule()  # which ends it after what waits was received

    def finish(self) -> None:
        if not self._closed and not self._finished:
            self._finished = True
            self._other._schedule()  # which tells its receiver after what waits was received

    def abort(self) -> None:
        if not self._closed:
            self._other._waiting.clear()
            self._other._waiting_bytes = 0
            self.close()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._schedule()

    def __repr__(self) -> str:
        return f"<MemoryStream {'closed' if self._closed else 'open'} {self.bytes_in} in {self.bytes_out} out>"

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        while self._waiting and self._reading and not self._closed:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self.bytes_in += len(data)
            try:
                # Released afterwards, so that whoever keeps the view, not a copy, is found out here.
                with memoryview(data) as view:
                    self._receiver.received(view)
            except Exception as error:  # whatever a receiver raises ends its connection, as on a real loop
                self._fail(error)
                return
        other = self._other
        if other.paused and not other._closed and self._waiting_bytes <= other._limits.send_buffer // 4:
            other.paused = False
            other._receiver.writable(True)
        if other._finished and not self._closed and not self._waiting and not self._told:
            self._told = True
            self._receiver.finished()
        if other._closed and not self._closed and not self._waiting:
            self._closed = True
            self._loop.call_soon(self._end, None)

    def _fail(self, error: Exception) -> None:
        """Its receiver failed: end both, as the loop does with a socket whose protocol fails."""
        context = {"message": "received() failed", "exception": error, "protocol": self}
        self._loop.call_exception_handler(context)
        if not self._closed:
            self._closed = True
            self._other._waiting.clear()
            self._other._waiting_bytes = 0
            self._loop.call_soon(self._end, error)
            self._other._schedule()

    def _end(self, error: Exception | None) -> None:
        self._receiver.ended(error)


def pair(
    near: Receiver, far: Receiver, *, limits: Limits = DEFAULT, near_info: Endpoint = MEMORY
) -> tuple[MemoryStream, MemoryStream]:
    """Join two receivers; `near_info` is what `far` is told of `near`. Both are `opened` before this returns."""
    a, b = MemoryStream(near, limits=limits), MemoryStream(far, limits=limits, info=near_info)
    a._other, b._other = b, a
    near.opened(a)
    far.opened(b)
    return a, b


_listening: dict[str, Callable[[], Receiver]] = {}


def listen(name: str, accept: Callable[[], Receiver]) -> None:
    """Let `dial(name)` reach us: `accept` gives the receiver for each caller. Raises AddressError."""
    if not name or name in _listening:
        raise AddressError(f"memory:{name}", "somebody listens there already" if name else "needs a name: memory:lobby")
    _listening[name] = accept


def unlisten(name: str) -> None:
    _listening.pop(name, None)


def dial(name: str, receiver: Receiver, *, limits: Limits = DEFAULT) -> None:
    """Join `receiver` to who listens at `name`. Raises DialFailed."""
    accept = _listening.get(name)
    if accept is None:
        raise DialFailed(f"memory:{name}", "nobody listens there in this process; listen before dialling")
    pair(receiver, accept(), limits=limits)

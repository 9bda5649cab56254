"""What every transport must do, as checks its author can run.

    async def connected(near: Receiver, far: Receiver) -> tuple[Stream, Stream]: ...    # two ends, joined

    await tieline.testing.check_transport(connected)

Each check makes its own pair, and fails with an AssertionError that says what a transport owes.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tieline.limits import KiB, MiB
from tieline.transports.stream import Receiver, Stream

Connected = Callable[[Receiver, Receiver], Awaitable[tuple[Stream, Stream]]]
Check = Callable[[Connected], Awaitable[None]]
_BIG = bytes(range(256)) * (16 * KiB)  # 4 MiB: more than any socket buffer holds


class Recorder:
    """A receiver that keeps what happened to it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.opens = 0
        self.ends: list[Exception | None] = []
        self.paused = False
        self.pauses = 0
        self._changed = asyncio.Event()

    def opened(self, stream: Stream) -> None:
        assert not self.data, "opened() comes before received()"
        self.opens += 1

    def received(self, data: bytes | memoryview) -> None:
        assert self.opens == 1, "opened() comes before received()"
        assert not self.ends, "nothing is received after ended()"
        assert len(data), "received() brings at least one byte"
        self.data += data
        self._changed.set()

    def finished(self) -> None:
        self._changed.set()

    def ended(self, error: Exception | None) -> None:
        self.ends.append(error)
        self._changed.set()

    def writable(self, yes: bool) -> None:
        assert yes is self.paused, "writable() tells changes, first False and then True"
        self.paused = not yes
        self.pauses += self.paused
        self._changed.set()

    async def until(self, condition: Callable[[], bool], what: str, patience: float = 10.0) -> None:
        """Wait for it; fails naming `what`."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: not within {patience:g} s") from None


async def introduces_itself(connected: Connected) -> None:
    """Both ends say what they are, once."""
    near, far = Recorder(), Recorder()
    a, b = await connected(near, far)
    assert near.opens == far.opens == 1, "opened() is called once at each end"
    for stream in (a, b):
        assert stream.info.kind, "info says what kind of transport it is"
        assert "open" in repr(stream), "repr() says whether it is open"
    await _close(a, b, near, far)


async def delivers_in_order(connected: Connected) -> None:
    """Small and large writes, both ways at once, arrive whole and in order."""
    near, far = Recorder(), Recorder()
    a, b = await connected(near, far)
    small = b"".join(b"%d," % number for number in range(2000))
    for number in range(2000):
        a.write(b"%d," % number)
    a.write(memoryview(_BIG))
    b.write(bytearray(_BIG))
    await far.until(lambda: len(far.data) >= len(small) + len(_BIG), "everything written arrives")
    await near.until(lambda: len(near.data) >= len(_BIG), "everything written arrives")
    assert far.data == small + _BIG, "bytes arrive unchanged and in order"
    assert near.data == _BIG, "bytes arrive unchanged and in order"
    assert a.bytes_out == b.bytes_in == len(far.data), "bytes_in and bytes_out count what went through"
    await _close(a, b, near, far)


async def copies_what_it_is_given(connected: Connected) -> None:
    """A buffer may be used again as soon as write() has returned."""
    near, far = Recorder(), Recorder()
    a, b = await connected(near, far)
    buffer = bytearray(b"a" * 64 * KiB)
    a.write(buffer)
    buffer[:] = b"b" * len(buffer)
    await far.until(lambda: len(far.data) == len(buffer), "everything written arrives")
    assert far.data.count(b"a") == len(buffer), "write() copies"
    await _close(a, b, near, far)


async def holds_back_the_writer(connected: Connected) -> None:
    """While the peer does not read, the writer is told to wait; afterwards everything arrives."""
    near, far = Recorder(), Recorder()
    a, b = await connected(near, far)
    b.pause_reading()
    written = 0
    while not near.paused:
        a.write(_BIG[: 64 * KiB])
        written += 64 * KiB
        await asyncio.sleep(0)
        assert written < 64 * MiB, "a writer is told to wait when its peer does not read"
    assert a.paused, "paused says so too"
    assert a.buffered() > 0, "buffered() says how much waits"
    b.resume_reading()
    await far.until(lambda: len(far.data) == written, "what waited arrives when the peer reads again")
    await near.until(lambda: not near.paused, "the writer is told to go on")
    await _close(a, b, near, far)


async def close_sends_what_waits(connected: Connected) -> None:
    """close() loses nothing; both ends hear ended() once; writing afterwards does nothing."""
    near, far = Recorder(), Recorder()
    a, b = await connected(near, far)
    a.write(_BIG)
    a.close()
    a.close()
    a.write(b"too late")
    await far.until(lambda: len(far.data) >= len(_BIG), "close() sends what waits first")
    await _close(a, b, near, far)
    assert far.data == _BIG, "nothing is written after close()"
    assert "closed" in repr(a), "repr() says whether it is open"


async def abort_ends_at_once(connected: Connected) -> None:
    """abort() ends both, whatever waits."""
    near, far = Recorder(), Recorder()
    a, b = await connected(near, far)
    b.pause_reading()
    a.write(_BIG)
    a.abort()
    a.abort()
    await near.until(lambda: bool(near.ends), "abort() ends its own side")
    b.resume_reading()
    await _close(a, b, near, far)


async def _close(a: Stream, b: Stream, near: Recorder, far: Recorder) -> None:
    a.close()
    await near.until(lambda: bool(near.ends), "close() ends its own side")
    b.close()
    await far.until(lambda: bool(far.ends), "the other side ends too")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(near.ends) == len(far.ends) == 1, "ended() is called exactly once"


CHECKS: list[Check] = [
    introduces_itself,
    delivers_in_order,
    copies_what_it_is_given,
    holds_back_the_writer,
    close_sends_what_waits,
    abort_ends_at_once,
]
"The checks one by one, for `pytest.mark.parametrize`."


async def check_transport(connected: Connected) -> None:
    """All checks, one after the other."""
    for check in CHECKS:
        await check(connected)

"""Looking again instead of sleeping, while the next bytes are due any moment. One `BusyPoll` for each event loop.

A loop that sleeps must be woken by the kernel, which takes longer than a small call; whoever asks and is answered in
turn pays for it twice each time. So a loop that is fed every few microseconds stays awake for `Limits.busy_poll`
after each read: what KVM calls halt polling and network drivers busy polling. It stays awake only as long as it pays:
bytes that keep coming that soon begin it, one wait in vain ends it, and who waited in vain needs longer to begin. So
does who was kept from the processor: others want it, and would be kept from it.
"""

import asyncio
import threading
import time
from collections.abc import Callable

FEW = 16
"Reads, each soon after the last, that begin it. Many more than chance gives, and over in a millisecond."
MANY = 1024
"The same, once it was in vain again and again: what is wasted then is a hundredth of the time at most."
WORTH_IT = 64
"Reads that came while awake, from which on it was not in vain."
KEPT = 0.001
"Seconds by which a turn is late when others had the processor: a time slice is longer, a turn of ours is not."


class BusyPoll:
    """At every read: `poll.heard = True` while it is `awake`, and `poll.read()` otherwise. `clock` gives seconds."""

    __slots__ = ("_call_soon", "_clock", "_fed", "_last", "_needed", "_soon", "_until", "_window", "awake", "heard")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], clock: Callable[[], float]) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self.awake = False
        self.heard = False
        "Whether bytes came since the last turn of the loop."
        self._last = 0.0  # when bytes came, while not awake
        self._soon = 0  # reads in a row that came soon
        self._needed = FEW
        self._fed = 0  # turns with bytes, while awake
        self._window = 0.0
        self._until = 0.0

    def read(self, window: float) -> None:
        """Bytes came; staying awake for `window` seconds at a time would be fine."""
        now = self._clock()
        self._soon = self._soon + 1 if now - self._last < window else 0
        self._last = now
        if self._soon >= self._needed:
            self.awake = self.heard = True
            self._soon = self._fed = 0
            self._window = window
            self._until = now + window
            self._call_soon(self._turn)

    def _turn(self) -> None:
        """Once in every turn of the loop, which does not sleep as long as there is something to call."""
        now = self._clock()
        if now >= self._until and (not self.heard or now >= self._until + KEPT):
            self.awake = False
            if now >= self._until + KEPT:
                self._needed = MANY
            else:
                self._needed = FEW if self._fed >= WORTH_IT else min(2 * self._needed, MANY)
            return
        if self.heard:
            self.heard = False
            self._fed += 1
            self._until = now + self._window
        self._call_soon(self._turn)


_latest: tuple[asyncio.AbstractEventLoop, BusyPoll] | None = None


def busy_poll() -> BusyPoll | None:
    """The running loop's. None in a thread of its own: there it works for another one, which wants the interpreter."""
    global _latest
    if threading.current_thread() is not threading.main_thread():
        return None
    loop = asyncio.get_running_loop()
    if _latest is None or _latest[0] is not loop:
        _latest = loop, BusyPoll(loop.call_soon, time.perf_counter)
    return _latest[1]

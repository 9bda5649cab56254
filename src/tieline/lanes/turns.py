"""Lanes work in turns: as many at a time as there are cores, and whoever has waited longest is next.

Fifty threads that all could run would let everything else in the process, chat first, stand in line behind each other's
time slices. A lane has a turn while it works, gives it back while it waits for the network, and passes it on with each
piece. One that is held up with its turn, by a slow disk, loses it: it no longer counts, and the next goes on.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_CORES = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1
_HELD_UP = 0.05
"Seconds: a piece takes a hundredth of that, so whoever has a turn for so long waits for something."


class _Holder:
    __slots__ = ("counts", "since")

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.counts = True


class Turns:
    """`count` at a time, in the order they asked."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Lock] = deque()
        self._holders: dict[int, _Holder] = {}
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._holders[threading.get_ident()] = _Holder()
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        while not gate.acquire(timeout=_HELD_UP):
            self._pass_over()
        with self._lock:
            self._holders[threading.get_ident()] = _Holder()

    def give(self) -> None:
        """It is the next one's."""
        with self._lock:
            if self._holders.pop(threading.get_ident()).counts:
                self._next()

    def pass_on(self) -> None:
        """Let those go first who wait."""
        if self._waiting:
            self.give()
            self.take()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Without a turn, for what waits for something else than the processor."""
        self.give()
        try:
            yield
        finally:
            self.take()

    def _next(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._free += 1

    def _pass_over(self) -> None:
        """Whoever is held up with a turn does not count any more."""
        with self._lock:
            latest = time.monotonic() - _HELD_UP
            for holder in self._holders.values():
                if holder.counts and holder.since < latest:
                    holder.counts = False
                    self._next()


TURNS = Turns(_CORES)
"""Of this process."""

"""Lanes work in turns: as many at a time as there are cores, and whoever has waited longest is next.

Fifty threads that all could run would let everything else in the process, chat first, stand in line behind each other's
time slices. A lane has a turn while it works, gives it back while it waits for the network or the disk, and passes it
on with each piece.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_CORES = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1


class Turns:
    """`count` at a time, in the order they asked."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()

    def give(self) -> None:
        """It is the next one's."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

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


TURNS = Turns(_CORES)
"""Of this process. Only threads that took one may give it."""

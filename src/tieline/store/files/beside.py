"""Hashing in a thread beside the one that receives: where a core is free, verifying then takes no time of its own.

One piece at a time is hashed beside the next that is received. `update` returns when the piece before has been hashed,
so its owner uses two buffers in turn.
"""

import os
import threading
from queue import SimpleQueue

from blake3 import blake3

_CORES = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1


class Beside:
    """`take()` one, or do without. Made for the whole process: more of them than cores would only be in the way."""

    _free = threading.Semaphore(_CORES - 1)

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[blake3, memoryview] | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._busy = False
        threading.Thread(target=self._run, name="tieline.hash", daemon=True).start()

    @classmethod
    def take(cls) -> "Beside | None":
        """One, if a core is left for it; `close()` it."""
        return cls() if cls._free.acquire(blocking=False) else None

    def update(self, hasher: blake3, data: memoryview) -> None:
        """Hash this, once the piece before is done."""
        self.wait()
        self._busy = True
        self._work.put((hasher, data))

    def wait(self) -> None:
        """Until everything is hashed."""
        if self._busy:
            self._done.get()
            self._busy = False

    def close(self) -> None:
        self.wait()
        self._work.put(None)
        self._free.release()

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            piece[0].update(piece[1])
            self._done.put(None)

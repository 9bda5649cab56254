"""Keeping in a thread beside the one that receives: where a core is free, hashing and writing take no time of theirs.

The one fills a few buffers in turn, the other hashes and writes what is in them, in the same order; so neither stands
still for each piece of the other's, and both find it near the processor.
"""

import os
import threading
from queue import SimpleQueue
from typing import NamedTuple

from blake3 import blake3

from tieline.limits import KiB
from tieline.store.files.contents import write_all

_CORES = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1
_PLACES = 4
_PLACE = 256 * KiB


class _Piece(NamedTuple):
    hasher: blake3
    descriptor: int
    place: memoryview
    size: int


class Beside:
    """`take()` one, or do without. Made for the whole process: more of them than cores would only be in the way."""

    _free = threading.Semaphore(_CORES - 1)

    def __init__(self) -> None:
        self._work: SimpleQueue[_Piece | None] = SimpleQueue()
        self._places: SimpleQueue[memoryview] = SimpleQueue()
        for _ in range(_PLACES):
            self._places.put(memoryview(bytearray(_PLACE)))
        self._filled: memoryview | None = None
        self._error: OSError | None = None
        threading.Thread(target=self._run, name="tieline.keep", daemon=True).start()

    @classmethod
    def take(cls) -> "Beside | None":
        """One, if a core is left for it; `close()` it."""
        return cls() if cls._free.acquire(blocking=False) else None

    def place(self) -> memoryview:
        """Where the next piece goes; the same until it is kept."""
        if self._filled is None:
            self._filled = self._places.get()
        return self._filled

    def keep(self, hasher: blake3, descriptor: int, size: int) -> None:
        """Hash and write what is in the place now. Raises OSError when that failed with one before."""
        if self._error is not None:
            self.wait()
        self._work.put(_Piece(hasher, descriptor, self.place(), size))
        self._filled = None

    def wait(self) -> None:
        """Until everything is done. Raises OSError when something could not be written; once."""
        self._finish()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self) -> None:
        """Whatever became of the last pieces: who wants to know has waited for them."""
        self._finish()
        self._work.put(None)
        self._free.release()

    def _finish(self) -> None:
        back = [self._places.get() for _ in range(_PLACES - (self._filled is not None))]
        for place in back:
            self._places.put(place)

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            if self._error is None:
                self._error = _kept(piece)
            self._places.put(piece.place)


def _kept(piece: _Piece) -> OSError | None:
    data = piece.place[: piece.size]
    try:
        piece.hasher.update(data)
        write_all(piece.descriptor, data)
    except OSError as error:
        return error
    return None

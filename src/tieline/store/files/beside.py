"""Keeping in a thread beside the one that receives: where a core is free, hashing and writing take no time of its own.

One piece at a time is hashed and written beside the next that is received, and both find it near the processor. `keep`
returns when the piece before is done, so its owner uses two buffers in turn.
"""

import os
import threading
from queue import SimpleQueue
from typing import NamedTuple

from blake3 import blake3

_CORES = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1


class _Piece(NamedTuple):
    hasher: blake3
    descriptor: int
    data: memoryview


class Beside:
    """`take()` one, or do without. Made for the whole process: more of them than cores would only be in the way."""

    _free = threading.Semaphore(_CORES - 1)

    def __init__(self) -> None:
        self._work: SimpleQueue[_Piece | None] = SimpleQueue()
        self._done: SimpleQueue[OSError | None] = SimpleQueue()
        self._busy = False
        threading.Thread(target=self._run, name="tieline.keep", daemon=True).start()

    @classmethod
    def take(cls) -> "Beside | None":
        """One, if a core is left for it; `close()` it."""
        return cls() if cls._free.acquire(blocking=False) else None

    def keep(self, hasher: blake3, descriptor: int, data: memoryview) -> None:
        """Hash this and write it, once the piece before is done. Raises OSError when that one could not be written."""
        self.wait()
        self._busy = True
        self._work.put(_Piece(hasher, descriptor, data))

    def wait(self) -> None:
        """Until everything is done. Raises OSError when it could not be written; once."""
        if self._busy:
            self._busy = False
            if (error := self._done.get()) is not None:
                raise error

    def close(self) -> None:
        """Whatever became of the last piece: who wants to know has waited for it."""
        if self._busy:
            self._busy = False
            self._done.get()
        self._work.put(None)
        self._free.release()

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            self._done.put(_kept(piece))


def _kept(piece: _Piece) -> OSError | None:
    try:
        piece.hasher.update(piece.data)
        write_all(piece.descriptor, piece.data)
    except OSError as error:
        return error
    return None


def write_all(descriptor: int, data: memoryview) -> None:
    """All of it: a disk may take less at a time."""
    done = os.write(descriptor, data)
    while done < len(data):
        done += os.write(descriptor, data[done:])

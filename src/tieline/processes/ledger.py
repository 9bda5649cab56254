"""What runs, written where it outlives the writer: a nameless file with a line for each command.

The warden has the same file open, and reads it when the one who writes is dead. Standard library alone, see `family`.
"""

import os
import tempfile

SLOT = 64
"Bytes of one line; a mark is at most 40 characters."


class Ledger:
    """The writing side. `descriptor` is for the warden to inherit."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._free: list[int] = []
        self._slots = 0

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    def enter(self, mark: str) -> int:
        """Before it starts: from here on the warden would look for the mark. Returns its line."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._slots = self._slots, self._slots + 1
        self.started(slot, 0, mark)
        return slot

    def started(self, slot: int, pid: int, mark: str) -> None:
        os.pwrite(self.descriptor, f"{pid} {mark}".ljust(SLOT - 1).encode() + b"\n", slot * SLOT)

    def leave(self, slot: int) -> None:
        """Nothing of it is left."""
        os.pwrite(self.descriptor, b" " * (SLOT - 1) + b"\n", slot * SLOT)
        self._free.append(slot)

    def close(self) -> None:
        self._file.close()


def read(descriptor: int) -> list[tuple[int, str]]:
    """The first process, 0 when it was not known yet, and the mark of each command."""
    size = os.fstat(descriptor).st_size
    lines = os.pread(descriptor, size, 0).decode(errors="replace").splitlines()
    return [(int(pid), mark) for pid, _, mark in (line.strip().partition(" ") for line in lines) if mark]

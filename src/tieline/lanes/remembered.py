"""What the other side of a lane has already, in as little memory as will do, and no more than there is for all lanes.

A file is remembered as 16 bytes of a hash of its place, size and time of change. What there is no room for is
forgotten, and comes again.
"""

import threading

from blake3 import blake3

Parts = tuple[str, ...]


class Budget:
    """So many files may be remembered at a time by all who share it."""

    def __init__(self, files: int) -> None:
        self._free = files
        self._lock = threading.Lock()

    def take(self, files: int) -> int:
        """As many of these as there is room for."""
        with self._lock:
            granted = min(files, self._free)
            self._free -= granted
            return granted

    def give(self, files: int) -> None:
        with self._lock:
            self._free += files


class Remembered:
    """Good until `close()`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._taken = 0
        self._marks: set[bytes] = set()

    def add(self, root: int, folder: Parts, files: list[tuple[str, int, int]]) -> None:
        """Files of a folder: name, size, mtime."""
        granted = self._budget.take(len(files))
        self._taken += granted
        self._marks.update(_mark(root, folder, *file) for file in files[:granted])

    def __bool__(self) -> bool:
        return bool(self._marks)

    def holds(self, root: int, folder: Parts, name: str, size: int, mtime: int) -> bool:
        """Whether the other side has just this."""
        return _mark(root, folder, name, size, mtime) in self._marks

    def close(self) -> None:
        self._marks.clear()
        self._budget.give(self._taken)
        self._taken = 0


def _mark(root: int, folder: Parts, name: str, size: int, mtime: int) -> bytes:
    # No name holds a slash, so the text says one place only.
    place = f"{root} {size} {mtime} {'/'.join((*folder, name))}"
    return blake3(place.encode(errors="surrogatepass")).digest(16)

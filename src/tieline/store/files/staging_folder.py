"""The folder in which files lie that are on their way in, beside the tree and in its file system: names, ages, room.

Knows nothing of what the names mean, but that those with `KEPT` in front outlive the process that made them.
"""

import fcntl
import os
import secrets
from collections.abc import Container, Iterator
from contextlib import suppress
from itertools import count

import msgspec

from tieline.store.files.names import OURS

FOLDER = f"{OURS}staging"
KEPT, _PASSING = "part-", "new-"
_CREATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Leftover(msgspec.Struct, frozen=True, order=True, gc=False):
    """A file that lies here; the one changed longest ago comes first."""

    changed: float
    "Unix seconds. Not its mtime: that is the one its sender gave it."
    room: int
    "Bytes it takes on the disk."
    name: str


class StagingFolder:
    """Of the tree whose folder `root` is (a descriptor, which stays the caller's). Other processes may use it too."""

    def __init__(self, root: int) -> None:
        self.fd = _enter(root)
        self._root = root
        self._mine = secrets.token_hex(6)
        self._numbers = count()

    def new_name(self) -> str:
        """One that nobody else gives, and nobody goes on with."""
        return f"{_PASSING}{self._mine}-{next(self._numbers)}"

    def open(self, name: str, mode: int = 0o600, *, new: bool = False) -> int:
        """Open for reading and writing, made when it is not there. `new`: FileExistsError when it is."""
        return os.open(name, _CREATE | os.O_EXCL if new else _CREATE, mode, dir_fd=self.fd)

    def rename(self, name: str, to: str) -> None:
        """Raises FileNotFoundError when somebody else was faster."""
        os.rename(name, to, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def discard(self, name: str) -> None:
        """Remove it, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def names(self, beginning: str = "") -> list[str]:
        """Of all that lies here and begins so. By a descriptor of its own: threads that list by one have one position
        between them, and each sees a part."""
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return [name for name in os.listdir(folder) if name.startswith(beginning)]
        finally:
            os.close(folder)

    def size(self, name: str) -> int:
        """Bytes in it. Raises FileNotFoundError."""
        return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size

    def leftovers(self, beginning: str = "") -> Iterator[Leftover]:
        """All that lies here and begins so, each looked at when it is its turn."""
        for name in self.names(beginning):
            try:
                status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield Leftover(status.st_ctime, status.st_blocks * 512, name)

    def sweep(self, before: float, but: Container[str], *, alone: bool) -> int:
        """Remove what was last changed before then, without those named, and, when nobody else uses the folder
        (`alone`), all that nobody can go on with. Returns how many files that was."""
        swept = 0
        for left in self.leftovers():
            if (left.changed < before and left.name not in but) or (alone and not left.name.startswith(KEPT)):
                with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                    os.unlink(left.name, dir_fd=self.fd)
                    swept += 1
        return swept

    def close(self) -> None:
        """Let go of it; one in which nothing lies is removed, if nobody else uses it."""
        with suppress(OSError):
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rmdir(FOLDER, dir_fd=self._root)
        os.close(self.fd)


def _enter(root: int) -> int:
    """The folder, open; others who use it are noticed by a lock that they share."""
    while True:
        with suppress(FileExistsError):
            os.mkdir(FOLDER, 0o700, dir_fd=root)
        try:
            folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        except FileNotFoundError:
            continue  # its last user left this very moment
        with suppress(OSError):  # a file system without locks
            fcntl.flock(folder, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.stat(FOLDER, dir_fd=root, follow_symlinks=False).st_ino == os.fstat(folder).st_ino:
                return folder
        os.close(folder)

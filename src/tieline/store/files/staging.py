"""One file on its way in, written and hashed at once, until it is whole and known to be right.

One running BLAKE3, whose value at each block's end is the digest of all so far, and at the end of the whole. A part
that was not verified is never believed: whoever goes on with an interrupted file hashes what is on the disk anew, and
goes on behind the last block on which both sides agree.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

import msgspec
from blake3 import blake3

from tieline.errors import Conflict
from tieline.limits import MiB
from tieline.store.files.beside import Beside
from tieline.store.files.contents import hash_range, hash_zeros, start_writing, write_all
from tieline.store.files.names import Parts, shown

BLOCK = 4 * MiB
"What is verified at a time; the same as in wire.lane."


class JustStored(Conflict):
    """What was to come is here already: it was being made durable when its connection broke. Look again."""


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A whole, verified file that lies in the staging folder under `name`."""

    name: str
    size: int
    mtime: int
    "Nanoseconds."
    inode: int
    digest: bytes


class Area(Protocol):
    """The folder that it lies in; see staging_area.py."""

    fd: int

    def discard(self, name: str) -> None: ...

    def closed(self, staging: "Staging") -> None: ...


class Staging:
    """One file on its way: `write` and `hole` in order, `mark` at each block's end, `finish` at its own. One thread's.

    Leaving it by `close` without `finish` keeps what can be gone on with.
    """

    def __init__(
        self,
        area: Area,
        name: str,
        descriptor: int,
        path: Parts,
        by: str,
        *,
        resumable: bool = False,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.by = by
        self.offset = 0
        "Where the next byte goes."
        self.verified = 0
        "Everything before it is right."
        self.size: int | None = None
        "As far as the sender knows it."
        self.resumable = resumable
        self.fd = descriptor
        self.moved = threading.Condition()
        "Told when `verified` or `state` changes."
        self.state = "coming"
        "Or `whole`, `failed`, `interrupted`."
        self._area = area
        self._stop = stop
        self._hasher = blake3()
        self._good = blake3()  # as it was at `verified`
        self._beside: Beside | None = None

    @property
    def is_coming(self) -> bool:
        """Whether more of it can be written."""
        return self.state == "coming" and self.fd >= 0

    def stop(self) -> None:
        """Somebody else goes on with this file."""
        if self._stop is not None:
            self._stop()

    def marks(self) -> Iterator[tuple[int, bytes]]:
        """What is here already, hashed anew: the digest of all of it at each whole block's end."""
        whole = os.fstat(self.fd).st_size // BLOCK
        for block in range(whole):
            hash_range(self._hasher, self.fd, block * BLOCK, BLOCK)
            yield (block + 1) * BLOCK, self._hasher.digest()
        self.offset = self.verified = whole * BLOCK
        self._good = self._hasher.copy()

    def start(self, offset: int) -> bool:
        """Go on from here, a block's end at or before `verified`; False when it is none."""
        self._settle()
        if offset % BLOCK or offset > self.verified:
            return False
        if offset != self.verified:
            self._hasher = blake3()
            hash_range(self._hasher, self.fd, 0, offset)
            self._good = self._hasher.copy()
        os.ftruncate(self.fd, offset)
        os.lseek(self.fd, offset, os.SEEK_SET)
        self.offset = offset
        self._now(offset)
        return True

    def take_up(self, size: int) -> None:
        """The first `size` bytes that are here are right, and all of it. Raises OSError when they are not here."""
        if os.fstat(self.fd).st_size < size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        hash_range(self._hasher, self.fd, 0, size)
        os.ftruncate(self.fd, size)
        os.lseek(self.fd, size, os.SEEK_SET)
        self.offset = size

    def make_sure(self) -> None:
        """All that was written, and nothing else, is on the disk."""
        self._settle()
        os.ftruncate(self.fd, self.offset)
        os.fsync(self.fd)

    def write(self, data: memoryview) -> None:
        """The next bytes."""
        self._settle()
        self._hasher.update(data)
        write_all(self.fd, data)
        self.offset += len(data)

    def place(self) -> memoryview | None:
        """Where the next bytes can be put, to be kept `beside`; None when nobody keeps beside."""
        return None if self._beside is None else self._beside.place()

    def beside(self, size: int) -> None:
        """The next bytes, so many of those at `place`. What the disk says of them a later call may raise."""
        if self._beside is None:
            raise RuntimeError("nobody keeps beside")
        self._beside.keep(self._hasher, self.fd, size)
        self.offset += size

    def keep_beside(self) -> None:
        """This is going to be long: hash and write it in another thread, if a core is free."""
        if self._beside is None:
            self._beside = Beside.take()

    def hole(self, size: int) -> None:
        """So many zeros, which take no room on the disk."""
        self._settle()
        hash_zeros(self._hasher, size)
        self.offset += size
        os.ftruncate(self.fd, self.offset)
        os.lseek(self.fd, self.offset, os.SEEK_SET)

    def mark(self, offset: int, digest: bytes) -> bool:
        """Compare. When it is not right, everything behind `verified` is forgotten."""
        self._settle()
        if offset == self.offset and self._hasher.digest() == digest:
            self._good = self._hasher.copy()
            start_writing(self.fd, self.verified, offset - self.verified)
            self._now(offset)
            return True
        self._hasher = self._good.copy()
        self.offset = self.verified
        os.ftruncate(self.fd, self.offset)
        os.lseek(self.fd, self.offset, os.SEEK_SET)
        return False

    def finish(self, mode: int, mtime: int | None) -> Arrived:
        """It is whole: the last mark was right. Its descriptor is closed, and it lies there under `name`."""
        self._settle()
        os.fchmod(self.fd, mode & ~_UMASK)
        if mtime is not None:
            os.utime(self.fd, ns=(mtime, mtime))
        status = os.fstat(self.fd)
        self._let_go_of_it()
        return Arrived(self.name, status.st_size, status.st_mtime_ns, status.st_ino, self._hasher.digest())

    def close(self, state: str) -> None:
        """It is `whole` (and published), has `failed` (and is removed), or was `interrupted`. Fine to call twice."""
        if self.state != "coming":
            return
        self._let_go_of_it()
        if state == "failed" or (state == "interrupted" and not self.resumable):
            self._area.discard(self.name)
        with self.moved:
            self.state = state
            self.moved.notify_all()
        self._area.closed(self)

    def _let_go_of_it(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def reopen(self) -> int:
        """Another descriptor of it, for reading; the caller's. Raises OSError when it has its final name already."""
        return os.open(self.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._area.fd)

    def _settle(self) -> None:
        if self._beside is not None:
            self._beside.wait()

    def _now(self, verified: int) -> None:
        with self.moved:
            self.verified = verified
            self.moved.notify_all()

    def __repr__(self) -> str:
        return f"<Staging {shown(self.path)} {self.state} {self.verified} verified>"


def _find_umask() -> int:
    """What new files are not given. Reading it by os.umask() changes it for other threads for a moment."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_UMASK = _find_umask()

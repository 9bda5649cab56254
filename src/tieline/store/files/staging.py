"""Files on their way in: beside the tree, in its own file system, until they are whole and known to be right.

What arrives is written and hashed at once: one running BLAKE3 whose value at each block's end is the digest of all so
far, and at the end of the whole. A part that was not verified is never believed: whoever goes on with an interrupted
file hashes what is on the disk anew, and goes on behind the last block on which both sides agree.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

import msgspec
from blake3 import blake3

from tieline.errors import Conflict
from tieline.limits import KiB, MiB
from tieline.store.files.beside import Beside, write_all
from tieline.store.files.names import OURS, Parts, shown

BLOCK = 4 * MiB
"What is verified at a time; the same as in wire.lane."

FOLDER = f"{OURS}staging"
_KEPT, _PASSING = "part-", "new-"
_PIECE = 256 * KiB
_ZEROS = bytes(_PIECE)
_SWEEP = 3600.0
"Seconds between two looks for what is too old."
_PUBLISHING = 500.0
"Seconds that a disk may take to make a file durable whose lane is gone; less than a lane waits for an answer."
_TAKE_OVER = 10.0
"Seconds until a lane that was told to let go of its file must have done so."
_CREATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


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


class StagingArea:
    """The staging folder of the tree whose folder `root` is (a descriptor, which stays the caller's)."""

    def __init__(
        self, root: int, *, keep_for: float = 7 * 86_400.0, keep: int = 1 << 62, clock: Callable[[], float] = time.time
    ) -> None:
        self.fd = _enter(root)
        self.trouble = 0
        "How often the disk failed to make something durable."
        self.mask = _UMASK
        self._root = root
        self._keep_for, self._keep = keep_for, keep
        "Seconds that interrupted files are kept, and bytes of them for one owner."
        self._clock = clock
        self._swept = clock()
        self._mine = secrets.token_hex(6)
        self._names = count()
        self._lock = threading.Lock()
        self._let_go = threading.Condition(self._lock)
        self._open: dict[str, Staging] = {}
        self._incoming: dict[Parts, list[Staging]] = {}

    def sweep(self, *, alone: bool) -> int:
        """Remove what nobody went on with for too long and, when no other process uses this folder (`alone`, at the
        start), what nobody can go on with. Returns how many files that was."""
        self._swept = self._clock()
        swept = 0
        for name in os.listdir(self.fd):
            with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                # Not its mtime: that is the one its sender gave it.
                age = self._clock() - os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_ctime
                if (age > self._keep_for and name not in self._open) or (alone and not name.startswith(_KEPT)):
                    os.unlink(name, dir_fd=self.fd)
                    swept += 1
        return swept

    def whole(self, data: memoryview, mode: int, mtime: int, digest: bytes) -> Arrived:
        """A small file whose bytes are all here, and whose digest was compared already."""
        name = self._new_name()
        descriptor = os.open(name, _CREATE | os.O_EXCL, mode, dir_fd=self.fd)
        try:
            write_all(descriptor, data)
            os.utime(descriptor, ns=(mtime, mtime))
            inode = os.fstat(descriptor).st_ino
        except BaseException:
            os.unlink(name, dir_fd=self.fd)
            raise
        finally:
            os.close(descriptor)
        return Arrived(name, len(data), mtime, inode, digest)

    def begin(
        self, path: Parts, by: str = "", *, source: bytes = b"", stop: Callable[[], None] | None = None
    ) -> "Staging":
        """A file that will come piece by piece. With a `source` (its owner, path and state), what is here of just that
        is gone on with, and kept when it is interrupted again; `stop` is called when somebody else goes on with it.
        """
        owner = f"{_KEPT}{blake3(by.encode()).hexdigest(8)}-"
        name = f"{owner}{blake3(source).hexdigest(16)}" if source else self._new_name()
        if source:
            self._make_way(owner, name)
        with self._let_go:
            self._take_over(name, path)
            descriptor = os.open(name, _CREATE if source else _CREATE | os.O_EXCL, 0o600, dir_fd=self.fd)
            _lock(descriptor, path)
            staging = Staging(self, name, descriptor, path, by, bool(source), stop)
            self._open[name] = staging
            self._incoming.setdefault(path, []).append(staging)
        return staging

    def incoming(self, path: Parts) -> "Staging | None":
        """The file that is on its way to this path, the one begun last."""
        with self._lock:
            found = self._incoming.get(path)
            return found[-1] if found else None

    def others(self, path: Parts, than: "Staging | None") -> "list[Staging]":
        """Other files on their way to the same path."""
        if path not in self._incoming:
            return []
        with self._lock:
            return [one for one in self._incoming.get(path, ()) if one is not than]

    def discard(self, name: str) -> None:
        """Remove what has arrived and is not wanted."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def close(self) -> None:
        """Let go of the folder; one in which nothing lies is removed, if nobody else uses it."""
        with suppress(OSError):
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rmdir(FOLDER, dir_fd=self._root)
        os.close(self.fd)

    def _new_name(self) -> str:
        return f"{_PASSING}{self._mine}-{next(self._names)}"

    def _make_way(self, owner: str, but: str) -> None:
        """Of what this owner left unfinished the oldest gives way, and once an hour what is too old of everybody."""
        if self._clock() - self._swept > _SWEEP:
            self.sweep(alone=False)
        if self._keep >= 1 << 62:
            return
        left: list[tuple[float, int, str]] = []
        for name in os.listdir(self.fd):
            if name.startswith(owner) and name != but and name not in self._open:
                with suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
                    left.append((status.st_ctime, status.st_blocks * 512, name))
        total = sum(size for _, size, _ in left)
        for _, size, name in sorted(left):
            if total <= self._keep:
                return
            self.discard(name)
            total -= size

    def _take_over(self, name: str, path: Parts) -> None:
        before = self._open.get(name)
        if before is None:
            return
        before.stop()
        publishing = before.fd < 0
        if not self._let_go.wait_for(lambda: name not in self._open, _PUBLISHING if publishing else _TAKE_OVER):
            raise Conflict(f"{shown(path)}: the same file is on its way here by another command of yours")
        if publishing and before.state == "whole":
            raise JustStored(f"{shown(path)} was stored just now by a connection that broke since")

    def _closed(self, staging: "Staging") -> None:
        with self._let_go:
            self._open.pop(staging.name, None)
            left = self._incoming.get(staging.path, [])
            if staging in left:
                left.remove(staging)
            if not left:
                self._incoming.pop(staging.path, None)
            self._let_go.notify_all()


class Staging:
    """One file on its way: `write` and `hole` in order, `mark` at each block's end, `finish` at its own. One thread's.

    Leaving it by `close` without `finish` keeps what can be gone on with.
    """

    def __init__(
        self,
        area: StagingArea,
        name: str,
        descriptor: int,
        path: Parts,
        by: str,
        resumable: bool,
        stop: Callable[[], None] | None,
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
            self._now(offset)
            return True
        self._hasher = self._good.copy()
        self.offset = self.verified
        os.ftruncate(self.fd, self.offset)
        os.lseek(self.fd, self.offset, os.SEEK_SET)
        return False

    def digest(self) -> bytes:
        """Of all that was written so far."""
        self._settle()
        return self._hasher.digest()

    def finish(self, mode: int, mtime: int | None) -> Arrived:
        """It is whole: the last mark was right. Its descriptor is closed, and it lies there under `name`."""
        self._settle()
        os.fchmod(self.fd, mode & ~self._area.mask)
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
        self._area._closed(self)

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


def _enter(root: int) -> int:
    """The staging folder, open; others who use it are noticed by a lock that they share."""
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


def _find_umask() -> int:
    """What new files are not given. Reading it by os.umask() changes it for other threads for a moment."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_UMASK = _find_umask()


def _lock(descriptor: int, path: Parts) -> None:
    """Two programs that fetch the same file to the same place would write over one another."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"{shown(path)}: another program is just bringing the same file here") from None
    except OSError:
        pass  # a file system without locks


def hash_range(hasher: blake3, descriptor: int, offset: int, size: int) -> None:
    """Add so many bytes of a file; those it no longer has are left out, and the digest will tell."""
    buffer = memoryview(bytearray(min(_PIECE, size)))
    end = offset + size
    while offset < end:
        got = os.preadv(descriptor, [buffer[: min(len(buffer), end - offset)]], offset)
        if not got:
            return
        hasher.update(buffer[:got])
        offset += got


def hash_zeros(hasher: blake3, size: int) -> None:
    while size > 0:
        hasher.update(_ZEROS[: min(size, _PIECE)])
        size -= _PIECE

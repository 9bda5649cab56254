"""Where files are on their way in: a folder beside the tree, in its own file system, that nobody sees.

Says who may go on with what: one who is interrupted finds what came of his file under a name made of owner, path and
state of the source, and nobody else does. What nobody goes on with is swept.

Who can say nothing of the source (HTTP) has his file's size in place of its state, and comes with bytes that nobody
compares: of his only what was closed in order, and is on the disk for sure, is gone on with.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import msgspec
from blake3 import blake3

from tieline.errors import Conflict
from tieline.store.files.contents import write_all
from tieline.store.files.names import OURS, Parts, shown
from tieline.store.files.staging import Arrived, JustStored, Staging

FOLDER = f"{OURS}staging"
_KEPT, _PASSING = "part-", "new-"
_SWEEP = 3600.0
"Seconds between two looks for what is too old."
_PUBLISHING = 500.0
"Seconds that a disk may take to make a file durable whose lane is gone; less than a lane waits for an answer."
_TAKE_OVER = 10.0
"Seconds until a lane that was told to let go of its file must have done so."
_CREATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Kept(msgspec.Struct, frozen=True):
    """An interrupted file whose sender says where to go on: `here` of `size` bytes, all of them on the disk."""

    name: str
    here: int
    size: int


class Held(msgspec.Struct, frozen=True):
    """What lies here of the interrupted files of one owner; `oldest` in unix seconds, 0 without any."""

    files: int = 0
    bytes: int = 0
    oldest: float = 0.0


class StagingArea:
    """The staging folder of the tree whose folder `root` is (a descriptor, which stays the caller's)."""

    def __init__(
        self, root: int, *, keep_for: float = 7 * 86_400.0, keep: int = 1 << 62, clock: Callable[[], float] = time.time
    ) -> None:
        self.fd = _enter(root)
        self.trouble = 0
        "How often the disk failed to make something durable."
        self._root = root
        self.keep_for, self._keep = keep_for, keep
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
        for name in self._all():
            with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                # Not its mtime: that is the one its sender gave it.
                age = self._clock() - os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_ctime
                if (age > self.keep_for and name not in self._open) or (alone and not name.startswith(_KEPT)):
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
        except BaseException:  # whatever it was: a part of a file is of no use to anybody
            os.unlink(name, dir_fd=self.fd)
            raise
        finally:
            os.close(descriptor)
        return Arrived(name, len(data), mtime, inode, digest)

    def begin(
        self, path: Parts, by: str = "", *, source: bytes = b"", stop: Callable[[], None] | None = None
    ) -> Staging:
        """A file that will come piece by piece. With a `source` (its owner, path and state), what is here of just that
        is gone on with, and kept when it is interrupted again; `stop` is called when somebody else goes on with it.
        """
        owner = _owner(by)
        name = f"{owner}{blake3(source).hexdigest(16)}" if source else self._new_name()
        if source:
            self._make_way(owner, name)
        with self._let_go:
            self._take_over(name, path)
            descriptor = os.open(name, _CREATE if source else _CREATE | os.O_EXCL, 0o600, dir_fd=self.fd)
            _lock(descriptor, path)
            return self._begun(Staging(self, name, descriptor, path, by, bool(source), stop))

    def kept(self, path: Parts, by: str) -> Kept | None:
        """What was kept of this owner's file for this path."""
        first = _unsaid(path, by)
        for name in self._all():
            if name.startswith(first):
                with suppress(FileNotFoundError, ValueError):
                    here = os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size
                    return Kept(name, here, int(name.removeprefix(first)))
        return None

    def go_on(self, kept: Kept, path: Parts, by: str, offset: int) -> Staging | None:
        """Go on with it behind `offset` bytes, which are read again, and are all of it; None when it is no more."""
        name = self._new_name()
        with suppress(FileNotFoundError):
            os.rename(kept.name, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
            descriptor = os.open(name, _CREATE, dir_fd=self.fd)
            with self._let_go:
                staging = self._begun(Staging(self, name, descriptor, path, by, False, None))
            try:
                staging.take_up(offset)
            except BaseException:  # whatever it was: nobody else has it yet
                staging.close("failed")
                raise
            return staging
        return None

    def keep(self, staging: Staging, size: int) -> None:
        """Keep what came of a file of `size` bytes for whoever goes on with it; `staging` ends here. Raises OSError."""
        owner, first = _owner(staging.by), _unsaid(staging.path, staging.by)
        try:
            staging.make_sure()
            self.forget_kept(staging.path, staging.by)
            os.rename(staging.name, f"{first}{size}", src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError:
            self.trouble += 1
            raise
        finally:
            staging.close("interrupted")  # what was not renamed goes away
        self._make_way(owner, f"{first}{size}")

    def forget_kept(self, path: Parts, by: str) -> None:
        """What was kept of this owner's file for this path is of no use any more."""
        first = _unsaid(path, by)
        for name in self._all():
            if name.startswith(first):
                self.discard(name)

    def held(self, by: str) -> Held:
        """What the interrupted files of this owner take."""
        left = self._left(_owner(by))
        return Held(len(left), sum(size for _, size, _ in left), min((at for at, _, _ in left), default=0.0))

    def forget(self, by: str) -> Held:
        """Remove them: nobody goes on with them any more."""
        with self._lock:  # so that nobody goes on with one meanwhile
            left = self._left(_owner(by))
            for _, _, name in left:
                self.discard(name)
        return Held(len(left), sum(size for _, size, _ in left), min((at for at, _, _ in left), default=0.0))

    def incoming(self, path: Parts) -> Staging | None:
        """The file that is on its way to this path, the one begun last."""
        with self._lock:
            found = self._incoming.get(path)
            return found[-1] if found else None

    def others(self, path: Parts, than: Staging | None) -> list[Staging]:
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
        left = self._left(owner, but)
        total = sum(size for _, size, _ in left)
        for _, size, name in sorted(left):
            if total <= self._keep:
                return
            self.discard(name)
            total -= size

    def _left(self, owner: str, but: str = "") -> list[tuple[float, int, str]]:
        """When it was changed last, what it takes, and the name, of each that nobody is at."""
        left: list[tuple[float, int, str]] = []
        for name in self._all():
            if name.startswith(owner) and name != but and name not in self._open:
                with suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
                    left.append((status.st_ctime, status.st_blocks * 512, name))
        return left

    def _all(self) -> list[str]:
        """Every name here. By a descriptor of its own: threads that list by one have one position between them, and
        each sees a part."""
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)

    def _begun(self, staging: Staging) -> Staging:
        self._open[staging.name] = staging
        self._incoming.setdefault(staging.path, []).append(staging)
        return staging

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

    def closed(self, staging: Staging) -> None:
        with self._let_go:
            self._open.pop(staging.name, None)
            left = self._incoming.get(staging.path, [])
            if staging in left:
                left.remove(staging)
            if not left:
                self._incoming.pop(staging.path, None)
            self._let_go.notify_all()


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


def _owner(by: str) -> str:
    """What the names of this owner's interrupted files begin with."""
    return f"{_KEPT}{blake3(by.encode()).hexdigest(8)}-"


def _unsaid(path: Parts, by: str) -> str:
    """What the name of a kept file begins with whose source is not known; its size follows."""
    return f"{_owner(by)}{blake3(shown(path).encode()).hexdigest(16)}-"


def _lock(descriptor: int, path: Parts) -> None:
    """Two programs that fetch the same file to the same place would write over one another."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"{shown(path)}: another program is just bringing the same file here") from None
    except OSError:
        pass  # a file system without locks

"""Where files are on their way in: a folder beside the tree, in its own file system, that nobody sees.

Says who may go on with what: one who is interrupted finds what came of his file under a name made of owner, path and
state of the source, and nobody else does. What nobody goes on with is swept.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count

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


class StagingArea:
    """The staging folder of the tree whose folder `root` is (a descriptor, which stays the caller's)."""

    def __init__(
        self, root: int, *, keep_for: float = 7 * 86_400.0, keep: int = 1 << 62, clock: Callable[[], float] = time.time
    ) -> None:
        self.fd = _enter(root)
        self.trouble = 0
        "How often the disk failed to make something durable."
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
    ) -> Staging:
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


def _lock(descriptor: int, path: Parts) -> None:
    """Two programs that fetch the same file to the same place would write over one another."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"{shown(path)}: another program is just bringing the same file here") from None
    except OSError:
        pass  # a file system without locks

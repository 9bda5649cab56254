"""Which files are on their way in, and who may go on with what is left of one, in a folder that nobody sees.

One who is interrupted finds what came of his file under a name made of owner, path and state of the source, and nobody
else does. What nobody goes on with is swept.

Who can say nothing of the source (HTTP) has his file's size in place of its state, and comes with bytes that nobody
compares: of his only what was closed in order, and is on the disk for sure, is gone on with.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from blake3 import blake3

from tieline.errors import Conflict
from tieline.store.files.contents import write_all
from tieline.store.files.names import Parts, shown
from tieline.store.files.staging import Arrived, JustStored, Staging
from tieline.store.files.staging_folder import KEPT, Leftover, StagingFolder

_SWEEP = 3600.0
"Seconds between two looks for what is too old."
_PUBLISHING = 500.0
"Seconds that a disk may take to make a file durable whose lane is gone; less than a lane waits for an answer."
_TAKE_OVER = 10.0
"Seconds until a lane that was told to let go of its file must have done so."


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
        self._folder = StagingFolder(root)
        self.fd = self._folder.fd
        self.trouble = 0
        "How often the disk failed to make something durable."
        self.keep_for, self._keep = keep_for, keep
        "Seconds that interrupted files are kept, and bytes of them for one owner."
        self._clock = clock
        self._swept = clock()
        self._lock = threading.Lock()
        self._let_go = threading.Condition(self._lock)
        self._open: dict[str, Staging] = {}
        self._incoming: dict[Parts, list[Staging]] = {}

    def sweep(self, *, alone: bool) -> int:
        """Remove what nobody went on with for too long and, when no other process uses this folder (`alone`, at the
        start), what nobody can go on with. Returns how many files that was."""
        self._swept = self._clock()
        return self._folder.sweep(self._swept - self.keep_for, self._open, alone=alone)

    def whole(self, data: memoryview, mode: int, mtime: int, digest: bytes) -> Arrived:
        """A small file whose bytes are all here, and whose digest was compared already."""
        name = self._folder.new_name()
        descriptor = self._folder.open(name, mode, new=True)
        try:
            write_all(descriptor, data)
            os.utime(descriptor, ns=(mtime, mtime))
            inode = os.fstat(descriptor).st_ino
        except BaseException:  # whatever it was: a part of a file is of no use to anybody
            self.discard(name)
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
        name = f"{owner}{blake3(source).hexdigest(16)}" if source else self._folder.new_name()
        if source:
            self._make_way(owner, name)
        with self._let_go:
            self._take_over(name, path)
            descriptor = self._folder.open(name, new=not source)
            _lock(descriptor, path)
            return self._begun(Staging(self, name, descriptor, path, by, resumable=bool(source), stop=stop))

    def kept(self, path: Parts, by: str) -> Kept | None:
        """What was kept of this owner's file for this path."""
        first = _unsaid(path, by)
        for name in self._folder.names(first):
            with suppress(FileNotFoundError, ValueError):
                return Kept(name, self._folder.size(name), int(name.removeprefix(first)))
        return None

    def go_on(self, kept: Kept, path: Parts, by: str, offset: int) -> Staging | None:
        """Go on with it behind `offset` bytes, which are read again, and are all of it; None when it is no more."""
        name = self._folder.new_name()
        with suppress(FileNotFoundError):
            self._folder.rename(kept.name, name)
            descriptor = self._folder.open(name)
            with self._let_go:
                staging = self._begun(Staging(self, name, descriptor, path, by))
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
            self._folder.rename(staging.name, f"{first}{size}")
        except OSError:
            self.trouble += 1
            raise
        finally:
            staging.close("interrupted")  # what was not renamed goes away
        self._make_way(owner, f"{first}{size}")

    def forget_kept(self, path: Parts, by: str) -> None:
        """What was kept of this owner's file for this path is of no use any more."""
        for name in self._folder.names(_unsaid(path, by)):
            self.discard(name)

    def held(self, by: str) -> Held:
        """What the interrupted files of this owner take."""
        return _held(self._left(_owner(by)))

    def forget(self, by: str) -> Held:
        """Remove them: nobody goes on with them any more."""
        with self._lock:  # so that nobody goes on with one meanwhile
            left = self._left(_owner(by))
            for each in left:
                self.discard(each.name)
        return _held(left)

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
        self._folder.discard(name)

    def close(self) -> None:
        """Let go of the folder; one in which nothing lies is removed, if nobody else uses it."""
        self._folder.close()

    def _make_way(self, owner: str, but: str) -> None:
        """Of what this owner left unfinished the oldest gives way, and once an hour what is too old of everybody."""
        if self._clock() - self._swept > _SWEEP:
            self.sweep(alone=False)
        if self._keep >= 1 << 62:
            return
        left = self._left(owner, but)
        total = sum(each.room for each in left)
        for each in sorted(left):
            if total <= self._keep:
                return
            self.discard(each.name)
            total -= each.room

    def _left(self, owner: str, but: str = "") -> list[Leftover]:
        """What this owner left unfinished, and nobody is at."""
        return [left for left in self._folder.leftovers(owner) if left.name not in self._open and left.name != but]

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
            raise Conflict(
                f"{shown(path)}: the same file is on its way here by another command of yours; "
                "wait for that one, or stop it"
            )
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


def _owner(by: str) -> str:
    """What the names of this owner's interrupted files begin with."""
    return f"{KEPT}{blake3(by.encode()).hexdigest(8)}-"


def _unsaid(path: Parts, by: str) -> str:
    """What the name of a kept file begins with whose source is not known; its size follows."""
    return f"{_owner(by)}{blake3(shown(path).encode()).hexdigest(16)}-"


def _held(left: list[Leftover]) -> Held:
    return Held(len(left), sum(each.room for each in left), min((each.changed for each in left), default=0.0))


def _lock(descriptor: int, path: Parts) -> None:
    """Two programs that fetch the same file to the same place would write over one another."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"{shown(path)}: another program is just bringing the same file here; wait for it") from None
    except OSError:
        pass  # a file system without locks

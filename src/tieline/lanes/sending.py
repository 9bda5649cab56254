"""The bulk side of a lane: folders and files go out one behind the other, and what the other side says is heeded.

Plain blocking code for the lane's thread. A file that changes while it is sent is broken off, never sent half old and
half new; a damaged block is sent again; what the other side has already is passed over.
"""

import mmap
import os
import stat
from collections.abc import Iterable, Sequence
from typing import Protocol

from blake3 import blake3

from tieline.errors import CallError, ProtocolError
from tieline.lanes.blocks import READING, NotGivenError, send_blocks
from tieline.lanes.connection import Lane
from tieline.lanes.growing import Growing
from tieline.lanes.one_file import OneFile
from tieline.lanes.remembered import Budget, Remembered
from tieline.lanes.walking import AFolder, ALink, Allowed, NotSent, SomeFiles, reason, special, walk
from tieline.lanes.watching import Watcher
from tieline.limits import DEFAULT, Limits
from tieline.store.files.beneath import FILE
from tieline.store.files.facts import changed_at
from tieline.store.files.names import Parts
from tieline.wire.lane import BATCH, HEADER, SMALL, Kind
from tieline.wire.lane_messages import (
    BATCH_FILES,
    TEXT,
    AllKept,
    AnyMessage,
    Batch,
    End,
    Folder,
    Kept,
    Left,
    Link,
    Seen,
    SeenAll,
    Small,
    message_frame,
)

_LOOKS = 5
"How often a small file that changes is read again."


class Root(Protocol):
    """One thing to send. Opening it gives a descriptor of a file or folder, or something that has no end yet; it raises
    CallError or OSError."""

    def open(self) -> int | Growing: ...

    def allowed(self, path: Parts) -> bool: ...


class Sender:
    """`run()` sends all roots and returns when the other side has said what became of everything."""

    def __init__(
        self,
        lane: Lane,
        roots: Sequence[Root],
        watcher: Watcher,
        limits: Limits = DEFAULT,
        *,
        budget: Budget | None = None,
    ) -> None:
        self.lane = lane
        self.limits = limits
        self.watcher = watcher
        self._roots = roots
        self._known = Remembered(budget or Budget(limits.lane_told))
        self._same = self._same_bytes = 0
        self._memory = memoryview(mmap.mmap(-1, mmap.PAGESIZE + BATCH))
        self.piece = self._memory[mmap.PAGESIZE - HEADER.size :]
        "For a header and one piece of a longer file, which begins with a page: that is copied faster."
        self.buffer = self._memory[mmap.PAGESIZE :]

    def run(self) -> None:
        try:
            for number, root in enumerate(self._roots):
                self._root(number, root)
        finally:
            self._known.close()
        self.lane.say(End(self._same, self._same_bytes))
        while not isinstance(self.heed(self.lane.message(self.limits.lane_commit)), AllKept):
            pass

    def learn(self) -> None:
        """Read what the other side has. `run` forgets it."""
        try:
            self._learn()
        except BaseException:  # whatever ends the lane: what is open for it is ours to close
            self._known.close()
            raise

    def _learn(self) -> None:
        entries = 0
        while not isinstance(message := self.lane.message(), SeenAll):
            if not isinstance(message, Seen):
                raise ProtocolError(f"{type(message).__name__} where Seen was due")
            entries += len(message.files) + 1
            if entries > 2 * self.limits.lane_told:
                raise ProtocolError(f"told of {entries:,} files, where {self.limits.lane_told:,} are allowed")
            self._known.add(message.root, tuple(message.folder), message.files)

    def heed(self, message: AnyMessage) -> AnyMessage:
        """Take note of what is kept; everything else is given back."""
        if isinstance(message, Kept):
            self.watcher.kept(message.count, message.failures, message.notes)
        return message

    def heed_all(self) -> None:
        """What has come, without waiting; between files only `Kept` can."""
        while self.lane.readable():
            message = self.heed(self.lane.message())
            if not isinstance(message, Kept):
                raise ProtocolError(f"{type(message).__name__} between two files")

    # -- inside --------------------------------------------------------------------------------------------------

    def _root(self, number: int, root: Root) -> None:
        try:
            descriptor = root.open()
        except (CallError, OSError) as error:
            self.left(number, (), reason(error), error.code if isinstance(error, CallError) else "refused")
            return
        if not isinstance(descriptor, int):
            self._growing(number, descriptor)
            return
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                self._folder(number, descriptor, root.allowed)
            elif stat.S_ISREG(status.st_mode):
                self._alone(number, descriptor, status)
            else:
                self.left(number, (), special(status.st_mode))
        finally:
            os.close(descriptor)

    def _growing(self, number: int, growing: Growing) -> None:
        try:
            send_blocks(self, number, (), growing)
        finally:
            growing.close()

    def _folder(self, number: int, descriptor: int, allowed: Allowed) -> None:
        for found in walk(descriptor, allowed, self.limits):
            match found:
                case AFolder(path, mode):
                    self.watcher.item(number, path, 0, "folder")
                    self.lane.say(Folder(number, list(path), stat.S_IMODE(mode) & 0o777))
                case ALink(path, target):
                    self.watcher.item(number, path, 0, "link")
                    self.lane.say(Link(number, list(path), target))
                case SomeFiles(fd, folder, names):
                    self._files(number, fd, folder, names)
                case NotSent(path, message):
                    self.left(number, path, message)

    def _alone(self, number: int, descriptor: int, status: os.stat_result) -> None:
        if self._is_there(number, (), "", status):
            return
        if status.st_size > SMALL:
            send_blocks(self, number, (), OneFile(descriptor, status))
            return
        filling = _Filling(self, number, ())
        filling.add("", descriptor, status)
        filling.send()

    def _files(self, number: int, folder_fd: int, folder: Parts, names: Iterable[str]) -> None:
        filling = _Filling(self, number, folder)
        for name in names:
            try:
                descriptor = os.open(name, FILE | os.O_NOFOLLOW, dir_fd=folder_fd)
            except FileNotFoundError:
                continue  # gone since
            except OSError as error:
                self.left(number, (*folder, name), reason(error))
                continue
            try:
                status = os.fstat(descriptor)
                if self._is_there(number, folder, name, status):
                    continue
                if status.st_size <= SMALL and stat.S_ISREG(status.st_mode):
                    filling.add(name, descriptor, status)
                elif stat.S_ISREG(status.st_mode):
                    filling.send()
                    send_blocks(self, number, (*folder, name), OneFile(descriptor, status))
                else:
                    self.left(number, (*folder, name), special(status.st_mode))
            finally:
                os.close(descriptor)
        filling.send()

    def _is_there(self, number: int, folder: Parts, name: str, status: os.stat_result) -> bool:
        if not self._known or not self._known.holds(number, folder, name, status.st_size, changed_at(status)):
            return False
        self._same += 1
        self._same_bytes += status.st_size
        self.watcher.same(number, (*folder, name) if name else folder, status.st_size)
        return True

    def left(self, number: int, path: Parts, message: str, code: str = "refused") -> None:
        self.watcher.left(number, path, message)
        self.lane.say(Left(number, list(path), code, message[:TEXT]))


class _Filling:
    """A batch of small files of one folder, while it fills."""

    def __init__(self, sender: Sender, root: int, folder: Parts) -> None:
        self._sender = sender
        self._root = root
        self._folder = folder
        self._files: list[Small] = []
        self._size = 0

    def add(self, name: str, descriptor: int, status: os.stat_result) -> None:
        if self._size + status.st_size > BATCH or len(self._files) == BATCH_FILES:
            self.send()
        path = (*self._folder, name) if name else self._folder
        try:
            with READING:
                read = self._read(descriptor, status)
        except NotGivenError as error:
            self._sender.left(self._root, path, str(error), error.code)
            return
        if read is None:
            self._sender.left(self._root, path, "it changes all the while it is read")
            return
        got, status = read
        digest = blake3(self._sender.buffer[self._size : self._size + got]).digest()
        self._sender.watcher.item(self._root, path, got)
        self._files.append(Small(name, got, status.st_mode & 0o777, changed_at(status), digest))
        self._size += got

    def _read(self, descriptor: int, status: os.stat_result) -> tuple[int, os.stat_result] | None:
        """All of the file as it was at one moment, into the buffer; None when there was no such moment."""
        for _ in range(_LOOKS):
            if status.st_size > min(SMALL, BATCH - self._size):
                return None
            place = self._sender.buffer[self._size : self._size + status.st_size]
            got = os.preadv(descriptor, [place], 0) if status.st_size else 0
            before, status = status, os.fstat(descriptor)
            if got == status.st_size and before.st_mtime_ns == status.st_mtime_ns:
                return got, status
        return None

    def send(self) -> None:
        if not self._files:
            return
        sender, size = self._sender, self._size
        head = message_frame(Batch(self._root, list(self._folder), self._files)) + HEADER.pack(size, Kind.DATA)
        sender.lane.send(head)
        sender.lane.send(sender.buffer[:size])
        sender.watcher.moved(size)
        self._files, self._size = [], 0
        sender.heed_all()

"""One longer file over a lane: in blocks, each with the digest of all so far, and again from where it was damaged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blake3 import blake3

from tieline.errors import ProtocolError
from tieline.store.files.contents import hash_range, hash_zeros
from tieline.store.files.facts import changed_at
from tieline.store.files.names import Parts
from tieline.wire.lane import (
    BLOCK,
    HEADER,
    WINDOW,
    Again,
    Broken,
    Done,
    File,
    From,
    Kept,
    Kind,
    No,
    Ready,
    Verified,
    hole_frame,
    mark_frame,
)

if TYPE_CHECKING:
    from tieline.lanes.sending import Sender

CHANGED = "changed"
"The code of a file that was another one when all of it was sent."

UNREADABLE = "unreadable"
"The code of a file that the disk does not give."


class RefusedError(Exception):
    """The other side does not want the file."""


class UnreadableError(Exception):
    """The disk does not give the file, as opposed to trouble with the lane; says why."""


@contextmanager
def reading() -> Iterator[None]:
    """Around reading a file that is to be sent: what the disk refuses is about this file alone."""
    try:
        yield
    except OSError as error:
        raise UnreadableError((error.strerror or str(error)).lower()) from error


def source_of(status: os.stat_result) -> bytes:
    """Another one when the file was changed, or is another file."""
    facts = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
    return blake3(facts.encode()).digest(16)


def send_file(sender: "Sender", root: int, path: Parts, descriptor: int, status: os.stat_result) -> None:
    """Send an open file. It is one item, whatever becomes of it."""
    size = status.st_size
    asked = size > BLOCK
    source = source_of(status) if asked else b""
    sender.watcher.item(root, path, size)
    sender.lane.say(File(root, list(path), size, status.st_mode & 0o777, changed_at(status), source))
    sending = _Sending(sender, descriptor, status, asked)
    try:
        sending.run()
    except RefusedError:
        sender.lane.say(Broken("", ""))  # why is known to the other side
    except UnreadableError as error:
        sending.settle()
        sender.lane.say(Broken(UNREADABLE, f"it cannot be read: {error}"))
    else:
        sending.say_end()


class _Sending:
    def __init__(self, sender: "Sender", descriptor: int, status: os.stat_result, asked: bool) -> None:
        self._sender = sender
        self._lane = sender.lane
        self._fd = descriptor
        self._status = status
        self._size = status.st_size
        self._sparse = status.st_blocks * 512 < status.st_size
        self._asked = asked
        self._offset = 0
        self._verified = 0
        self._hasher = blake3()
        self._good: dict[int, blake3] = {0: blake3()}
        "The hasher as it was at each block's end that is not verified yet, and at the last that is."

    def run(self) -> None:
        if self._asked:
            self._agree()
        while self._offset < self._size:
            self._block(min(self._size, (self._offset // BLOCK + 1) * BLOCK))
            self._answers(waiting=self._offset - self._verified >= WINDOW * BLOCK)
            while self._asked and self._offset == self._size > self._verified:
                self._answers(waiting=True)
        if not self._asked:
            self._sender.heed_all()

    def settle(self) -> None:
        """Hear what is still to be said of the blocks that were sent: it must not be taken for the next file's."""
        try:
            while self._asked and self._verified < self._offset:
                self._answers(waiting=True)
        except RefusedError:
            pass

    def say_end(self) -> None:
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._size, self._status.st_mtime_ns):
            self._lane.say(Broken(CHANGED, "it changed while it was sent"))
        else:
            self._lane.say(Done())

    def _agree(self) -> None:
        """Hear what is there, and begin behind the last block that is the same in our file."""
        same = True
        while True:
            kind, size = self._lane.header(self._sender.limits.lane_commit)
            if kind is Kind.MARK:
                offset, digest = self._lane.mark()
                same = same and self._matches(offset, digest)
                continue
            if kind is not Kind.MESSAGE:
                raise ProtocolError(f"a {kind.name} frame where marks were due")
            match self._sender.heed(self._lane.payload(size)):
                case Ready():
                    break
                case No():
                    raise RefusedError
                case Kept():
                    pass
                case other:
                    raise ProtocolError(f"{type(other).__name__} where marks were due")
        self._hasher = self._good[self._offset].copy()
        self._verified = self._offset
        self._sender.watcher.moved(self._offset)
        self._lane.say(From(self._offset))

    def _matches(self, offset: int, digest: bytes) -> bool:
        if offset != self._offset + BLOCK or offset > self._size:
            return False
        try:
            hash_range(self._hasher, self._fd, self._offset, BLOCK)
        except OSError:
            return False  # read again when it is sent, and told then
        if self._hasher.digest() != digest:
            return False
        self._offset = offset
        self._good = {offset: self._hasher.copy()}
        return True

    def _block(self, end: int) -> None:
        """All up to `end`, and the mark."""
        for begin, stop, is_data in self._extents(end):
            if is_data:
                self._data(begin, stop)
            else:
                hash_zeros(self._hasher, stop - begin)
                self._lane.send(hole_frame(stop - begin))
            self._sender.watcher.moved(stop - begin)
        self._offset = end
        self._lane.send(mark_frame(end, self._hasher.digest()))
        if self._asked:
            self._good[end] = self._hasher.copy()

    def _data(self, begin: int, end: int) -> None:
        if not self._lane.tls:
            self._straight(begin, end)
            return
        lane, buffer, update, fd = self._lane, self._sender.piece, self._hasher.update, self._fd
        room = len(buffer) - HEADER.size
        while begin < end:
            size = min(room, end - begin)
            piece = buffer[: HEADER.size + size]
            HEADER.pack_into(piece, 0, size, Kind.DATA)
            with reading():
                got = os.preadv(fd, [piece[HEADER.size :]], begin)
            if got < size:
                piece[HEADER.size + got :] = bytes(size - got)  # it became shorter: the end will say so
            update(piece[HEADER.size :])
            lane.send(piece)
            begin += size

    def _straight(self, begin: int, end: int) -> None:
        """On a plain socket the kernel takes the bytes from the file. They are read besides, to be hashed: should the
        file change between the two, the digest is wrong, and the other side asks again."""
        with reading():
            hash_range(self._hasher, self._fd, begin, end - begin)
        self._lane.send(HEADER.pack(end - begin, Kind.DATA))
        self._lane.send_file(self._fd, begin, end - begin)

    def _extents(self, end: int) -> Iterator[tuple[int, int, bool]]:
        """Where there are bytes and where there is nothing, from where we are up to `end`."""
        at = self._offset
        if not self._sparse:
            yield at, end, True
            return
        while at < end:
            try:
                data = min(end, os.lseek(self._fd, at, os.SEEK_DATA))
            except OSError:  # nothing but a hole is left
                data = end
            if data > at:
                yield at, data, False
            if data < end:
                with reading():
                    hole = min(end, os.lseek(self._fd, data, os.SEEK_HOLE))
                yield data, hole, True
                data = hole
            at = data

    def _answers(self, waiting: bool) -> None:
        """Heed what has come; with `waiting`, at least one answer."""
        while waiting or self._lane.readable():
            waiting = False
            match self._sender.heed(self._lane.message(self._sender.limits.lane_commit)):
                case Verified(offset):
                    self._verified = max(self._verified, offset)
                    for known in [one for one in self._good if one < offset]:
                        del self._good[known]
                case Again(offset):
                    self._from(offset)
                case No():
                    raise RefusedError
                case Kept():
                    pass
                case other:
                    raise ProtocolError(f"{type(other).__name__} while a file is sent")

    def _from(self, offset: int) -> None:
        if offset not in self._good:
            raise ProtocolError(f"again from {offset}, which is no block's end that is on its way")
        self._hasher = self._good[offset].copy()
        self._offset = offset
        self._good = {offset: self._good[offset]}
        self._lane.say(From(offset))

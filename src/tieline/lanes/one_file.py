"""A longer file of the disk, as it goes over a lane: its bytes and holes, all of them of one moment or none."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from blake3 import blake3

from tieline.lanes.blocks import READING, NotGivenError, Standing
from tieline.lanes.connection import Lane
from tieline.store.files.contents import hash_range, hash_zeros
from tieline.store.files.facts import changed_at
from tieline.wire.lane import BLOCK, HEADER, WINDOW, Kind, hole_frame

if TYPE_CHECKING:
    from tieline.lanes.sending import Sender

CHANGED = "changed"
"The code of a file that was another one when all of it was sent."


def source_of(status: os.stat_result) -> bytes:
    """Another one when the file was changed, or is another file."""
    facts = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
    return blake3(facts.encode()).digest(16)


class OneFile:
    """A Source. The descriptor stays the caller's."""

    window = WINDOW

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.size: int | None = status.st_size
        self.mode = status.st_mode & 0o777
        self.mtime: int | None = changed_at(status)
        self.source = source_of(status) if status.st_size > BLOCK else b""
        self.standing = Standing()
        self._fd = descriptor
        self._status = status
        self._sparse = status.st_blocks * 512 < status.st_size
        self._matched = 0

    def send(self, sender: "Sender") -> bool:
        standing = self.standing
        end = min(self._status.st_size, (standing.offset // BLOCK + 1) * BLOCK)
        for begin, stop, is_data in self._extents(end):
            if is_data:
                self._data(sender, begin, stop)
            else:
                hash_zeros(standing.hasher, stop - begin)
                sender.lane.send(hole_frame(stop - begin))
            sender.watcher.moved(stop - begin)
        standing.offset = end
        return end < self._status.st_size

    def matches(self, offset: int, digest: bytes) -> bool:
        standing, begin = self.standing, self._matched
        if offset != begin + BLOCK or offset > self._status.st_size:
            return False  # one before was another already
        try:
            hash_range(standing.hasher, self._fd, begin, BLOCK)
        except OSError:
            return False  # read again when it is sent, and told then
        if standing.hasher.digest() != digest:
            return False
        self._matched = offset
        standing.good = {offset: standing.hasher.copy()}
        return True

    def forget(self, verified: int) -> None:
        """The disk has it."""

    def check(self) -> None:
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise NotGivenError(CHANGED, "it changed while it was sent")

    # -- inside --------------------------------------------------------------------------------------------------

    def _data(self, sender: "Sender", begin: int, end: int) -> None:
        """In one frame; TLS then has pieces that are whole records, and each is hashed while it is near."""
        if not sender.lane.tls:
            self._straight(sender.lane, begin, end)
            return
        lane, buffer, update, fd = sender.lane, sender.buffer, self.standing.hasher.update, self._fd
        lane.send(HEADER.pack(end - begin, Kind.DATA))
        while begin < end:
            piece = buffer[: end - begin]
            try:
                got = os.preadv(fd, [piece], begin)
            except OSError:
                _zeros(lane, piece, end - begin)  # the frame was announced; what it is about is not finished
                with READING:
                    raise
            if got < len(piece):
                piece[got:] = bytes(len(piece) - got)  # it became shorter: the end will say so
            update(piece)
            lane.send(piece)
            begin += len(piece)

    def _straight(self, lane: Lane, begin: int, end: int) -> None:
        """On a plain socket the kernel takes the bytes from the file. They are read besides, to be hashed: should the
        file change between the two, the digest is wrong, and the other side asks again."""
        with READING:
            hash_range(self.standing.hasher, self._fd, begin, end - begin)
        lane.send(HEADER.pack(end - begin, Kind.DATA))
        lane.send_file(self._fd, begin, end - begin)

    def _extents(self, end: int) -> Iterator[tuple[int, int, bool]]:
        """Where there are bytes and where there is nothing, from where we are up to `end`."""
        at = self.standing.offset
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
                with READING:
                    hole = min(end, os.lseek(self._fd, data, os.SEEK_HOLE))
                yield data, hole, True
                data = hole
            at = data


def _zeros(lane: Lane, buffer: memoryview, size: int) -> None:
    buffer[:] = bytes(len(buffer))
    while size:
        piece = buffer[:size]
        lane.send(piece)
        size -= len(piece)

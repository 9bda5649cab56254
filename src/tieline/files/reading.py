"""A file of the server read as it comes: each block verified before it is handed out, a broken lane gone on with."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Self

from blake3 import blake3

from tieline.errors import CallError, Conflict, LinkClosed, ProtocolError, call_error
from tieline.files.tally import Tally
from tieline.files.transfer import Transfer
from tieline.lanes.connection import Lane
from tieline.limits import Limits
from tieline.store.files.contents import hash_zeros
from tieline.wire.lane import BATCH, BLOCK, HOLE, Kind, mark_frame
from tieline.wire.lane_messages import (
    DAMAGED,
    Again,
    Alive,
    AllKept,
    AnyMessage,
    Batch,
    Broken,
    Done,
    End,
    File,
    Folder,
    From,
    Get,
    Kept,
    Left,
    Link,
    Ready,
    SeenAll,
    Verified,
)

_AHEAD = 2
"Verified blocks held for a reader that is slower than the network."


class RemoteFile:
    """`await read(n)`, or `async for block in file`. Made by `peer.files.open`; use it as a context manager."""

    def __init__(self, path: str, transfer: Transfer, tally: Tally, limits: Limits, *, wait: bool = False) -> None:
        self.path = path
        self.size: int | None = None
        "Known from the first read on, unless the file is still on its way to the server."
        self._tally = tally
        self._limits = limits
        self._wait = wait
        self._loop = asyncio.get_running_loop()
        self._blocks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(_AHEAD)
        self._left = b""
        self._over = False
        self._closed = False
        self._hasher = blake3()
        self._marks: list[tuple[int, bytes]] = []
        self._given = 0
        self._task = asyncio.create_task(self._run(transfer))

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, empty at the end; without `size`, all that is left."""
        if size < 0:
            return b"".join([block async for block in self])
        if not self._left:
            self._left = await self._next()
        data, self._left = self._left[:size], self._left[size:]
        return data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := self._left or await self._next():
            self._left = b""
            yield data

    async def close(self) -> None:
        """Want no more of it."""
        self._closed = True
        self._room.release()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- inside --------------------------------------------------------------------------------------------------

    async def _next(self) -> bytes:
        if self._over:
            return b""
        block = await self._blocks.get()
        if block is None:
            self._over = True
            await self._task
            return b""
        self._room.release()
        return block

    async def _run(self, transfer: Transfer) -> None:
        try:
            await transfer.run(self._work)
        finally:
            self._blocks.put_nowait(None)

    # -- in the thread -------------------------------------------------------------------------------------------

    def _work(self, lane: Lane) -> None:
        self._tally.moved(self._given)
        lane.say(Get([self.path], self._wait))
        lane.say(SeenAll())
        match lane.message():
            case Batch() as batch:
                self._small(lane, batch)
            case File() as file:
                self._file(lane, file)
            case Left(_, _, code, message):
                raise call_error(code, message)
            case Folder() | Link():
                raise Conflict(f"{self.path} is no file; `get` takes folders")
            case other:
                raise ProtocolError(f"{type(other).__name__} where a file was due")
        if not isinstance(lane.message(), End):
            raise ProtocolError("more than was asked for")
        lane.say(Kept(1))
        lane.say(AllKept())

    def _small(self, lane: Lane, batch: Batch) -> None:
        _, size = lane.header()
        data = lane.exactly(size)
        self.size = size
        if len(batch.files) != 1 or blake3(data).digest() != batch.files[0].digest:
            raise LinkClosed("a file was damaged on the way")
        self._hand_out(lane, data, len(data))

    def _file(self, lane: Lane, file: File) -> None:
        self.size = file.size
        asked = bool(file.source)
        if asked:
            for offset, digest in self._marks:
                lane.send(mark_frame(offset, digest))
            lane.say(Ready())
        block = _Block(self._hasher, asked=asked)
        while True:
            kind, size = lane.header()
            match kind:
                case Kind.DATA:
                    block.data(lane, size)
                case Kind.HOLE:
                    block.hole(lane)
                case Kind.MARK:
                    self._mark(lane, block)
                case Kind.MESSAGE:
                    if self._is_done(lane.payload(size), block):
                        return

    def _mark(self, lane: Lane, block: "_Block") -> None:
        """What came since the last one is handed out, or asked for again."""
        offset, digest = lane.mark()
        if block.deaf:
            return
        if digest == block.hasher.digest():
            self._verified(lane, offset, digest, bytes(block.content), block.hasher)
            block.content.clear()
            if block.asked:
                lane.say(Verified(offset))
        elif block.asked:
            block.deaf = True
            lane.say(Again(self._given))
        else:
            raise LinkClosed("a file was damaged on the way")

    def _is_done(self, message: AnyMessage, block: "_Block") -> bool:
        """What the server says between the bytes. True when they were the last."""
        match message:
            case Alive():
                return False
            case From(offset) if offset == self._given:
                block.begin(self._hasher)
                return False
            case From():
                raise Conflict(f"{self.path} was changed on the server while it was read; read it again")
            case Done():
                return True
            case Broken(code, reason):
                raise call_error(code or DAMAGED, reason)
            case other:
                raise ProtocolError(f"{type(other).__name__} within a file")

    def _verified(self, lane: Lane, offset: int, digest: bytes, block: bytes, hasher: blake3) -> None:
        begin = offset - len(block)
        if offset > self._given:
            self._hand_out(lane, block[max(0, self._given - begin) :], offset)
        self._hasher = hasher.copy()
        self._marks.append((offset, digest))

    def _hand_out(self, lane: Lane, data: bytes, offset: int) -> None:
        if not data or offset <= self._given:
            return
        with lane.resting():
            self._room.acquire()
        if self._closed:
            raise CallError("nobody reads any more")
        # A reader may pause for longer than the lane lives; what was handed out is a reason to go on with another.
        self._tally.moved(offset - self._given)
        self._given = offset
        self._loop.call_soon_threadsafe(self._blocks.put_nowait, data)


class _Block:
    """What came of a longer file since the last mark that was right, and the hash of all up to there.

    `asked`: the server asked where to begin, so it can be asked to begin again. While `deaf`, what comes is of no use:
    it was on its way before the server heard where to begin.
    """

    def __init__(self, hasher: blake3, *, asked: bool) -> None:
        self.asked = asked
        self.begin(hasher)
        self.deaf = asked

    def begin(self, hasher: blake3) -> None:
        """Behind the last mark that was right, where the hash was this."""
        self.deaf = False
        self.hasher, self.content = hasher.copy(), bytearray()

    def data(self, lane: Lane, size: int) -> None:
        self._check(size)
        piece = lane.exactly(size) if size <= BATCH else _long(lane, size)
        if not self.deaf:
            self.hasher.update(piece)
            self.content += piece

    def hole(self, lane: Lane) -> None:
        (size,) = HOLE.unpack(lane.exactly(HOLE.size))
        self._check(size)
        if not self.deaf:
            hash_zeros(self.hasher, size)
            self.content += bytes(size)

    def _check(self, more: int) -> None:
        if len(self.content) + more > BLOCK:
            raise ProtocolError(f"{len(self.content) + more:,} bytes of a file without a mark")


def _long(lane: Lane, size: int) -> bytes:
    data = bytearray(size)
    lane.read_into(memoryview(data))
    return bytes(data)

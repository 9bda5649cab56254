"""Sending what has no end yet: standard input, and a file that is itself still on its way to the server.

What was read from a pipe cannot be read again, so it is held until the other side has verified it: a broken lane costs
nothing, and memory is bounded by the blocks that may be unverified.
"""

import os
import secrets
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from blake3 import blake3

from tieline.errors import CallError, Conflict, ProtocolError
from tieline.lanes.one_file import RefusedError
from tieline.store.files.names import Parts, shown
from tieline.store.files.staging import Staging
from tieline.store.files.staging_area import StagingArea
from tieline.wire.lane import (
    BLOCK,
    HEADER,
    Again,
    Alive,
    Broken,
    Done,
    File,
    From,
    Kept,
    Kind,
    No,
    Ready,
    Verified,
    mark_frame,
)

if TYPE_CHECKING:
    from tieline.lanes.sending import Sender

_HELD = 4
"Blocks of a pipe held in memory while they are not verified."
_PAUSE = 5.0
"Seconds without anything new after which we say that we are still here."
_COMES_BACK = 60.0
"Seconds a broken upload is waited for by those who follow it."


class Growing(Protocol):
    """`read` fills the view from an offset on: bytes got, 0 at the end, None when there is nothing yet."""

    source: bytes
    size: int | None
    mode: int
    mtime: int | None

    def read(self, view: memoryview, offset: int) -> int | None: ...


def send_growing(sender: "Sender", root: int, path: Parts, growing: Growing) -> None:
    """One item, whatever becomes of it."""
    sender.watcher.item(root, path, growing.size or 0)
    lane = sender.lane
    lane.say(File(root, list(path), growing.size, growing.mode, growing.mtime, growing.source))
    try:
        if isinstance(growing, Pipe):
            sender.watcher.sized(_SendingPipe(sender, growing).run())
        else:
            sender.watcher.sized(_run(sender, growing))
    except RefusedError:
        lane.say(Broken("", ""))
    except CallError as error:
        lane.say(Broken(error.code, str(error)))
    else:
        lane.say(Done())


def _run(sender: "Sender", growing: Growing) -> int:
    """Without going back: what is damaged fails as a whole. Returns how many bytes it was."""
    hasher, offset = blake3(), 0
    while size := _piece(sender, growing, offset, hasher):
        before, offset = offset, offset + size
        if before // BLOCK != offset // BLOCK and offset % BLOCK == 0:
            sender.lane.send(mark_frame(offset, hasher.digest()))
            sender.heed_all()
    sender.lane.send(mark_frame(offset, hasher.digest()))
    return offset


def _piece(sender: "Sender", growing: Growing, offset: int, hasher: blake3) -> int:
    """Send the next bytes, as many as there are, not beyond the block's end; 0 at the end of all."""
    room = min(len(sender.buffer), BLOCK - offset % BLOCK)
    piece = sender.piece[: HEADER.size + room]
    while (got := _read(sender, growing, piece[HEADER.size :], offset)) is None:
        sender.lane.say(Alive())
    if got:
        HEADER.pack_into(piece, 0, got, Kind.DATA)
        hasher.update(piece[HEADER.size : HEADER.size + got])
        sender.lane.send(piece[: HEADER.size + got])
        sender.watcher.moved(got)
    return got


def _read(sender: "Sender", growing: Growing, view: memoryview, offset: int) -> int | None:
    with sender.lane.resting():
        return growing.read(view, offset)


class Pipe:
    """What comes from a descriptor that can be read once, which stays the caller's; for one lane after another."""

    def __init__(self, descriptor: int, mode: int = 0o644) -> None:
        self.source = secrets.token_bytes(16)
        self.size: int | None = None
        self.mode = mode
        self.mtime: int | None = None
        self.verified = 0
        self.hashers: dict[int, blake3] = {0: blake3()}
        "As it was at the block ends that are held."
        self._fd = descriptor
        self._held = bytearray()  # from `verified` on
        self._ended = False

    def read(self, view: memoryview, offset: int) -> int | None:
        at = offset - self.verified
        if at < len(self._held):
            got = min(len(view), len(self._held) - at)
            view[:got] = memoryview(self._held)[at : at + got]
            return got
        if self._ended:
            return 0
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        try:
            if not poll.poll(_PAUSE * 1000):
                return None
        except OSError:
            pass
        got = os.readv(self._fd, [view])
        self._ended = not got
        self._held += view[:got]
        return got

    def forget(self, verified: int) -> None:
        """This much need not be sent again."""
        del self._held[: verified - self.verified]
        self.verified = verified
        self.hashers = {at: hasher for at, hasher in self.hashers.items() if at >= verified}


class _SendingPipe:
    def __init__(self, sender: "Sender", pipe: Pipe) -> None:
        self._sender = sender
        self._lane = sender.lane
        self._pipe = pipe
        self._offset = 0
        self._hasher = blake3()

    def run(self) -> int:
        self._begin(self._agree())
        self._sender.watcher.moved(self._offset)
        while True:
            size = _piece(self._sender, self._pipe, self._offset, self._hasher)
            self._offset += size
            if size and self._offset % BLOCK:
                self._heed(waiting=False)
                continue
            self._mark()
            if size:
                self._heed(waiting=self._offset - self._pipe.verified >= _HELD * BLOCK)
                continue
            while self._pipe.verified < self._offset:
                if self._heed(waiting=True):
                    break
            else:
                return self._offset

    def _mark(self) -> None:
        self._pipe.hashers[self._offset] = self._hasher.copy()
        self._lane.send(mark_frame(self._offset, self._hasher.digest()))

    def _agree(self) -> int:
        """The last block's end that both sides know and agree on."""
        found = 0
        while True:
            kind, size = self._lane.header(self._sender.limits.lane_commit)
            if kind is Kind.MARK:
                offset, digest = self._lane.mark()
                mine = self._pipe.hashers.get(offset)
                if mine is not None and mine.digest() == digest:
                    found = offset
                continue
            match self._sender.heed(self._lane.payload(size)):
                case Ready():
                    return found
                case No():
                    raise RefusedError
                case Kept():
                    pass
                case other:
                    raise ProtocolError(f"{type(other).__name__} where marks were due")

    def _begin(self, offset: int) -> None:
        if offset < self._pipe.verified:
            raise Conflict("what was read from standard input is gone on both sides; it cannot be sent again")
        self._pipe.forget(offset)
        self._offset = offset
        self._hasher = self._pipe.hashers[offset].copy()
        self._lane.say(From(offset))

    def _heed(self, waiting: bool) -> bool:
        """True when we are to go back."""
        back = False
        while waiting or self._lane.readable():
            waiting = False
            match self._sender.heed(self._lane.message(self._sender.limits.lane_commit)):
                case Verified(offset):
                    self._pipe.forget(offset)
                case Again(offset):
                    self._begin(offset)
                    back = True
                case No():
                    raise RefusedError
                case Kept():
                    pass
                case other:
                    raise ProtocolError(f"{type(other).__name__} while a file is sent")
        return back


class Following:
    """A file that is on its way to the server: its verified bytes, as they come, to its end."""

    def __init__(self, area: StagingArea, staging: Staging, clock: Callable[[], float] = time.monotonic) -> None:
        self.source = b""
        self.size = staging.size
        self.mode = 0o644
        self.mtime: int | None = None
        self._area = area
        self._staging = staging
        self._clock = clock
        self._fd = staging.reopen()
        self._lost: float | None = None

    def close(self) -> None:
        os.close(self._fd)

    def read(self, view: memoryview, offset: int) -> int | None:
        staging = self._staging
        with staging.moved:
            if staging.verified <= offset and staging.state == "coming":
                staging.moved.wait(_PAUSE)
            verified, state = staging.verified, staging.state
        if verified > offset:
            return os.preadv(self._fd, [view[: verified - offset]], offset)
        if state == "whole":
            return 0
        if state == "failed":
            raise Conflict(f"the upload of {shown(staging.path)} failed, so there is nothing to fetch")
        if state == "interrupted":
            self._wait_for_another()
        return None

    def _wait_for_another(self) -> None:
        """Its sender may come back and go on with the very same file."""
        self._lost = self._lost or self._clock()
        found = self._area.incoming(self._staging.path)
        if found is not None and found.name == self._staging.name:
            self._staging, self._lost = found, None
        elif self._clock() - self._lost > _COMES_BACK:
            raise Conflict(f"the upload of {shown(self._staging.path)} broke off and was not gone on with")
        else:
            time.sleep(0.2)  # only this lane's thread waits, for something no condition tells of

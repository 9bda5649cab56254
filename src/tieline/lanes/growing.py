"""What has no end yet: standard input, and a file that is itself still on its way to the server.

What was read from a pipe cannot be read again, so it is held until the other side has verified it: a broken lane costs
nothing, and memory is bounded by the blocks that may be unverified.
"""

import os
import secrets
import select
import time
from typing import TYPE_CHECKING

from tieline.lanes.blocks import READING, NotGivenError, Standing
from tieline.store.files.names import shown
from tieline.store.files.staging import Staging
from tieline.store.files.staging_area import StagingArea
from tieline.wire.lane import BLOCK, HEADER, WINDOW, Kind
from tieline.wire.lane_messages import Alive

if TYPE_CHECKING:
    from tieline.lanes.sending import Sender

_HELD = 4
"Blocks of a pipe held in memory while they are not verified."
_PAUSE = 5.0
"Seconds without anything new after which we say that we are still here."
_COMES_BACK = 60.0
"Seconds a broken upload is waited for by those who follow it."


class Growing:
    """A Source whose end is met when it is read. `close` it."""

    size: int | None = None
    mode = 0o644
    mtime: int | None = None
    source = b""
    window = WINDOW

    def __init__(self) -> None:
        self.standing = Standing()

    def read(self, view: memoryview, offset: int) -> int | None:
        """Fill the view from an offset on: bytes got, 0 at the end, None when there is nothing yet."""
        raise NotImplementedError

    def send(self, sender: "Sender") -> bool:
        standing = self.standing
        piece = sender.piece[: HEADER.size + BLOCK - standing.offset % BLOCK]
        content = piece[HEADER.size :]
        while (got := self._read(sender, content)) is None:
            sender.lane.say(Alive())
        if got:
            HEADER.pack_into(piece, 0, got, Kind.DATA)
            standing.hasher.update(content[:got])
            standing.offset += got
            sender.lane.send(piece[: HEADER.size + got])
            sender.watcher.moved(got)
        return bool(got)

    def matches(self, offset: int, digest: bytes) -> bool:
        known = self.standing.good.get(offset)
        return known is not None and known.digest() == digest

    def forget(self, verified: int) -> None:
        """Nothing is held."""

    def check(self) -> None:
        """What is read once cannot change."""

    def close(self) -> None:
        """Nothing is open."""

    def _read(self, sender: "Sender", view: memoryview) -> int | None:
        with sender.lane.resting(), READING:
            return self.read(view, self.standing.offset)


class Pipe(Growing):
    """What comes from a descriptor that can be read once, which stays the caller's; for one lane after another."""

    window = _HELD

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.source = secrets.token_bytes(16)
        self._fd = descriptor
        self._held = bytearray()
        self._held_from = 0
        self._ended = False

    def read(self, view: memoryview, offset: int) -> int | None:
        at = offset - self._held_from
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
        del self._held[: verified - self._held_from]
        self._held_from = verified


class Following(Growing):
    """A file that is on its way to the server: its verified bytes, as they come, to its end."""

    def __init__(self, area: StagingArea, staging: Staging) -> None:
        super().__init__()
        self.size = staging.size
        self._area = area
        self._staging = staging
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
            raise _conflict(
                f"the upload of {shown(staging.path)} failed, so there is nothing to fetch; it must be put again"
            )
        if state == "interrupted":
            self._wait_for_another()
        return None

    def _wait_for_another(self) -> None:
        """Its sender may come back and go on with the very same file."""
        self._lost = self._lost or time.monotonic()
        found = self._area.incoming(self._staging.path)
        if found is not None and found.name == self._staging.name:
            self._staging, self._lost = found, None
        elif time.monotonic() - self._lost > _COMES_BACK:
            raise _conflict(
                f"the upload of {shown(self._staging.path)} broke off and was not gone on with; it must be put again"
            )
        else:
            time.sleep(0.2)  # only this lane's thread waits, for something no condition tells of


def _conflict(message: str) -> NotGivenError:
    return NotGivenError("conflict", message)

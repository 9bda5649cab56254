"""Somebody who looks at a session: what he has seen, and what he is to be sent next.

The one who drives gets every byte: the program waits for him, as for any terminal. One who only watches must not hold
it up: when he falls behind, old output is skipped, and he is told so.
"""

import asyncio

from tieline.limits import KiB
from tieline.processes.ring import Ring
from tieline.processes.told import At

PIECE = 8 * KiB
"Sent at once at most."
AHEAD = 16 * KiB
"Read from the program before the one who drives has been sent it: little, so that Ctrl-C is not behind a flood."
BEHIND = 64 * KiB
"A watcher further behind is moved forward."
KEPT = 8 * KiB
"So much of the newest he is then sent: more than a screen."


class Viewer:
    """`next()` from one task."""

    __slots__ = ("_left", "_loop", "_ring", "_waiter", "drives", "position", "who")

    def __init__(self, ring: Ring, position: int | None, *, drives: bool, who: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self.drives = drives
        self.who = who
        self._left: str | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.position = -1 if position is None else position

    def begin(self) -> At:
        """Where it begins: where he was, if that is still known, else as far back as is kept."""
        asked = self._ring.start if self.position < 0 else self.position
        self.position = max(self._ring.start, min(asked, self._ring.end))
        return At(self.position, max(0, self.position - asked))

    @property
    def room(self) -> int:
        """Bytes the program may write now, as far as this one is concerned."""
        return AHEAD - (self._ring.end - self.position)

    async def next(self) -> bytes | At | None:
        """What to send; None when there will be nothing more, see `reason`."""
        ring = self._ring
        while self.position >= ring.end:
            if self._left is not None:
                return None
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        behind = ring.end - self.position
        if self.position < ring.start or (not self.drives and behind > BEHIND):
            skipped = max(ring.start, ring.end - KEPT) - self.position
            self.position += skipped
            return At(self.position, skipped)
        data = ring.read(self.position, PIECE)
        self.position += len(data)
        return data

    @property
    def reason(self) -> str:
        """Why there is nothing more."""
        return self._left or ""

    def leave(self, reason: str) -> None:
        """What is there already is still sent."""
        self._left = reason
        self.wake()

    def wake(self) -> None:
        """More has come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

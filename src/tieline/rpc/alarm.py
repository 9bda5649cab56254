"""The deadlines of one link by the loop's clock: one timer for all of them, set to the first."""

import asyncio
from collections.abc import Callable

from tieline.rpc.deadlines import Deadlines

_NEVER = 1e9
"Seconds. A timeout beyond this is none."


class Alarm:
    """`expired(channels)` is called for those whose time has come; deadlines may be removed at any time."""

    __slots__ = ("_deadlines", "_expired", "_loop", "_timer")

    def __init__(self, deadlines: Deadlines, expired: Callable[[list[int]], None]) -> None:
        self._deadlines = deadlines
        self._expired = expired
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, channel: int, timeout: float) -> None:
        """Give an open channel a deadline, in seconds from now."""
        if not timeout < _NEVER:  # which is so of nan as well
            return
        when = self._loop.time() + max(timeout, 0.0)
        self._deadlines.add(channel, when)
        if self._timer is None or when < self._timer.when():
            self._arm()

    def off(self) -> None:
        """Nothing expires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.off()
        first = self._deadlines.next()
        if first is not None:
            self._timer = self._loop.call_at(first, self._ring)

    def _ring(self) -> None:
        self._timer = None
        over = self._deadlines.due(self._loop.time())
        if over:
            self._expired(over)
        self._arm()

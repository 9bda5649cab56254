"""A clock that moves when told to, for code that waits: `asyncio.sleep(3600)` is over at once, and in order.

    clock = tieline.testing.Clock()

    async def story() -> None:
        nap = asyncio.create_task(asyncio.sleep(60))
        await clock.advance(60)
        assert nap.done()

    clock.run(story())

It is the clock of a loop of its own: every `sleep`, `timeout` and `call_later` there goes by it. Work in threads takes
real time, of which the clock knows nothing.
"""

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Clock:
    """Stands still until `advance`. With `autojump`, it jumps to the next timer by itself whenever nothing else has
    happened for so many real seconds (0.01 suits most tests; more where threads work)."""

    def __init__(self, *, autojump: float | None = None) -> None:
        self.autojump = autojump
        self.now = 1000.0
        "Seconds, as `loop.time()` gives them. The beginning means nothing."
        self._loop: ClockLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Like `asyncio.run`, on a loop that goes by this clock."""
        with asyncio.Runner(loop_factory=self.loop) as runner:
            return runner.run(coroutine)

    def loop(self) -> asyncio.AbstractEventLoop:
        """A new loop that goes by this clock; for `asyncio.Runner(loop_factory=clock.loop)`."""
        self._loop = ClockLoop(self)
        return self._loop

    async def advance(self, seconds: float) -> None:
        """Let so much time pass. Returns when everything due in it has happened, each thing at its time."""
        loop, end = self._running(), self.now + seconds
        await loop.idle()
        while (due := loop.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            await loop.idle()
        self.now = end
        await loop.idle()

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await self._running().idle()

    def _running(self) -> "ClockLoop":
        if self._loop is None or asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("this loop does not go by the clock; begin with clock.run(…)")
        return self._loop


class ClockLoop(asyncio.SelectorEventLoop):
    """An ordinary loop on sockets, but for its time."""

    def __init__(self, clock: Clock) -> None:
        self._timers: list[float] = []
        self._idlers: list[asyncio.Future[None]] = []
        self._clock = clock
        super().__init__(_Selector(clock, self))

    def time(self) -> float:
        return self._clock.now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        heapq.heappush(self._timers, when)
        return super().call_at(when, callback, *args, context=context)

    def next_timer(self) -> float | None:
        """When the next timer is due; it may have been cancelled meanwhile."""
        while self._timers and self._timers[0] <= self._clock.now:
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers else None

    async def idle(self) -> None:
        """Wait until there is nothing left to do but wait."""
        future = self.create_future()
        self._idlers.append(future)
        await future

    def wake_idlers(self) -> bool:
        idlers, self._idlers = self._idlers, []
        for future in idlers:
            if not future.done():
                future.set_result(None)
        return bool(idlers)


class _Selector(selectors.DefaultSelector):
    """Where a loop asks the operating system to wait: a good place to know that it has nothing to do."""

    def __init__(self, clock: Clock, loop: ClockLoop) -> None:
        super().__init__()
        self._clock = clock
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0 or self._loop.wake_idlers():
            return ready
        if timeout is None or self._clock.autojump is None:
            return super().select(None)  # only the outside world can wake us now
        ready = super().select(self._clock.autojump)
        if not ready:
            self._clock.now += max(timeout, 0)
        return ready

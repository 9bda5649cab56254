"""One reader of a topic: each event once, in order, whatever the link and the reader's own pace do meanwhile.

What it needs of the other side is in `Feeds`; here is only what has come and was not read yet.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from tieline.errors import InvalidArgument
from tieline.wire.messages import Event

if TYPE_CHECKING:
    from tieline.rpc.feeds import Feeds


class Subscription:
    """`async for event in …`. `position` is the last one handed out. `aclose()`, or leaving the loop, ends it.

    Positions go back when the other side lost what was seen of it: after an older backup, or a restart of what it only
    keeps in memory.
    """

    __slots__ = (
        "__weakref__",
        "_bytes",
        "_error",
        "_feeds",
        "_lagging",
        "_out_of_touch",
        "_queue",
        "_seen",
        "_value",
        "_waiter",
        "after",
        "opened",
        "position",
        "rewinding",
        "topic",
    )

    def __init__(self, feeds: "Feeds", topic: str, after: int | None, value: Any) -> None:
        self.topic = topic
        "The full name once opened: `room/@bob` becomes that of the pair."
        self.after = after
        self.position = after or 0
        self.opened = False
        self.rewinding = False
        "True from asking the other side to go back until it has."
        self._feeds = feeds
        self._value = value
        self._queue: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._seen = 0  # the last position queued
        # Some events were let go. Those that come are not taken until the other side says that it went back.
        self._lagging = False
        self._out_of_touch = False  # until the link is back, when all subscriptions go on together
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def open(self, method: str = "topics.subscribe", **params: Any) -> dict[str, Any]:
        """Subscribe now rather than with the first event. `method` may be another one that subscribes this link and
        answers with `topic` and `position`, such as `chat.enter`. Returns its answer."""
        return await self._feeds.open(self, method, params)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        if not self.opened and self._error is None:
            await self.open()
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._waiter is not None or self.rewinding:
                raise RuntimeError(f"two tasks read the subscription to {self.topic} at once")
            if self._lagging and not self._out_of_touch:
                await self._feeds.rewind(self)
            else:
                await self._wait()
        event, size = self._queue.popleft()
        self._bytes -= size
        self.position = event.position
        return event if self._value is Any else self._converted(event)

    async def aclose(self) -> None:
        """Want no more of it, as leaving the loop does. Fine to call twice."""
        self._queue.clear()
        self._error = self._error or StopAsyncIteration()
        self._feeds.discard(self)
        self._wake()

    @property
    def seen(self) -> int:
        """The last position that is here, handed out or not."""
        return self._seen

    @property
    def waiting(self) -> int:
        """Events that are here and can be had at once."""
        return len(self._queue)

    @property
    def lagging(self) -> bool:
        return self._lagging

    # -- for Feeds -------------------------------------------------------------------------------------------------

    def begin(self, topic: str, position: int) -> None:
        """The other side has subscribed us: what comes from now on is behind `position`."""
        self.topic, self.opened = topic, True
        self.position = self._seen = position

    def push(self, event: Event, size: int, most: int) -> None:
        """An event came; one too many for `most` bytes is let go."""
        if event.position <= self._seen or self._lagging:
            return
        if self._bytes + size > most and self._queue:
            self._lagging = True
            self._feeds.fell_behind(self.topic)
            return
        self._seen = event.position
        self._queue.append((event, size))
        self._bytes += size
        self._wake()

    def out_of_touch(self) -> None:
        """The link is lost: take nothing until the other side is back where we are."""
        self._lagging = self._out_of_touch = True

    def caught_up(self, position: int) -> None:
        """The other side went back to `position`: what comes from now on follows what is here. Where its log ends
        before what was seen, that was another log, and the same positions are new there."""
        self._seen = min(self._seen, position)
        self._lagging = self._out_of_touch = False

    def fail(self, error: Exception) -> None:
        self._error = error
        self._wake()

    def __del__(self) -> None:
        # `break` out of `async for` drops the last reference: the server need not go on sending.
        if getattr(self, "opened", False):
            self._feeds.forget_soon(self.topic)

    def _converted(self, event: Event) -> Event:
        try:
            return Event(event.topic, event.position, msgspec.convert(event.value, self._value))
        except msgspec.ValidationError as error:
            sentence = f"{event.topic}: the value at {event.position} is not what was expected: {error}"
            raise InvalidArgument(sentence) from error

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

"""The topics followed here: events sorted to whoever iterates, each once, in order, whatever the link does meanwhile.

A reader that falls behind by `limits.event_queue` bytes is let go and read on from its position later, just as after
a lost link: one way for both.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec

from tieline.errors import LinkError, ProtocolError, TielineError
from tieline.wire.messages import Event

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer

_decode = msgspec.msgpack.Decoder(Event).decode


class Subscription:
    """`async for event in …`. `position` is the last one handed out. `aclose()`, or leaving the loop, ends it."""

    __slots__ = (
        "__weakref__",
        "_bytes",
        "_error",
        "_feeds",
        "_lagging",
        "_queue",
        "_rewinding",
        "_seen",
        "_value",
        "_waiter",
        "after",
        "opened",
        "position",
        "topic",
    )

    def __init__(self, feeds: "Feeds", topic: str, after: int | None, value: Any) -> None:
        self.topic = topic
        "The full name once opened: `room/@bob` becomes that of the pair."
        self.after = after
        self.position = after or 0
        self.opened = False
        self._feeds = feeds
        self._value = value
        self._queue: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._seen = 0  # the last position queued
        self._lagging = False  # some were let go and must be asked for again
        self._rewinding = False  # they were asked for; until the answer, only the very next event is the right one
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def open(self, method: str = "topics.subscribe", **params: Any) -> dict[str, Any]:
        """Subscribe now rather than with the first event. `method` may be another one that subscribes this link and
        answers with `topic` and `position`, such as `chat.enter`. Returns its answer."""
        return await self._feeds.open(self, method, params)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        if not self.opened:
            await self.open()
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._lagging:
                await self._rewind()
                continue
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event, size = self._queue.popleft()
        self._bytes -= size
        self.position = event.position
        if self._value is not Any:
            return Event(event.topic, event.position, msgspec.convert(event.value, self._value))
        return event

    async def aclose(self) -> None:
        self._feeds.discard(self)
        self._queue.clear()
        self._error = self._error or StopAsyncIteration()
        self._wake()

    def begin(self, topic: str, position: int) -> None:
        self.topic, self.opened = topic, True
        self.position = self._seen = position

    def push(self, event: Event, size: int, most: int) -> None:
        if event.position <= self._seen or self._lagging:
            return
        if self._rewinding and event.position != self._seen + 1:
            return  # on its way before the other side heard where to go on; it will come again
        if self._bytes + size > most and self._queue:
            self._lagging = True
            return
        self._seen = event.position
        self._queue.append((event, size))
        self._bytes += size
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

    def fell_behind(self) -> None:
        """Some events were let go; they are asked for again when those that are here were read."""
        self._lagging = True
        self._wake()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._wake()

    def __del__(self) -> None:
        # `break` out of `async for` drops the last reference: the server need not go on sending.
        if getattr(self, "opened", False):
            self._feeds.forget_soon(self.topic)

    async def _rewind(self) -> None:
        """Ask again for everything behind what is here."""
        self._lagging, self._rewinding = False, True
        try:
            start = await self._feeds.rewind(self)
        finally:
            self._rewinding = False
        if start > self._seen:
            # What is between is kept no more. The events behind it may have come already, and not been taken.
            self._seen, self._lagging = start, True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Feeds:
    """All subscriptions of one peer, by topic."""

    __slots__ = ("_by_topic", "_loop", "_opening", "_peer", "_unclaimed", "_unclaimed_bytes")

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._by_topic: dict[str, WeakSet[Subscription]] = {}
        # Events may come in the same read as the answer that says what their topic is called: kept until then.
        self._opening = 0
        self._unclaimed: dict[str, list[tuple[Event, int]]] = {}
        self._unclaimed_bytes = 0

    def event(self, payload: bytes) -> None:
        """An EVENT came in."""
        try:
            event = _decode(payload)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProtocolError(f"not a valid EVENT: {error}") from error
        size, most = len(payload), self._peer.limits.event_queue
        for subscription in self._by_topic.get(event.topic, ()):
            subscription.push(event, size, most)
        if self._opening and self._unclaimed_bytes < most:
            self._unclaimed.setdefault(event.topic, []).append((event, size))
            self._unclaimed_bytes += size

    async def open(self, subscription: Subscription, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "topics.subscribe":
            params = {"topic": subscription.topic, "after": subscription.after}
        self._opening += 1
        try:
            answer: dict[str, Any] = await self._peer.call(method, retry=True, **params)
            full = self._unclaimed_bytes >= self._peer.limits.event_queue
            subscription.begin(answer.get("topic", subscription.topic), answer["position"])
            self._by_topic.setdefault(subscription.topic, WeakSet()).add(subscription)
            for event, size in self._unclaimed.get(subscription.topic, ()):
                subscription.push(event, size, self._peer.limits.event_queue)
        finally:
            self._opening -= 1
            if not self._opening:
                self._unclaimed.clear()
                self._unclaimed_bytes = 0
        if full:
            subscription.fell_behind()
        return answer

    async def rewind(self, subscription: Subscription) -> int:
        """Ask for everything behind what the subscription has. Returns the position behind which it comes."""
        answer = await self._peer.call(
            "topics.subscribe", retry=True, topic=subscription.topic, after=subscription.seen
        )
        return int(answer["position"])

    def discard(self, subscription: Subscription) -> None:
        """Nobody iterates over it any more."""
        self._by_topic.get(subscription.topic, WeakSet()).discard(subscription)
        self._forget(subscription.topic)

    def forget_soon(self, topic: str) -> None:
        """A subscription was dropped, from whatever thread: leave its topic if it was the last."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._forget, topic)

    def _forget(self, topic: str) -> None:
        if topic in self._by_topic and not self._by_topic[topic]:
            del self._by_topic[topic]
            self._tell("topics.unsubscribe", topic)

    def link_lost(self, error: TielineError, *, comes_back: bool) -> None:
        if not comes_back:
            lost, self._by_topic = self._by_topic, {}
            for subscriptions in lost.values():
                for subscription in subscriptions:
                    subscription.fail(error)

    async def link_back(self) -> None:
        """Over a new link: go on with every topic where it stopped."""
        for topic, subscriptions in list(self._by_topic.items()):
            after = min((subscription.seen for subscription in subscriptions), default=0)
            try:
                await self._peer.call("topics.subscribe", topic=topic, after=after)
            except LinkError:
                return  # lost again: the next link begins anew
            except TielineError as error:
                for subscription in subscriptions:
                    subscription.fail(error)

    def _tell(self, method: str, topic: str) -> None:
        link = self._peer.link
        if link is not None and not link.session.closing:
            task = asyncio.get_running_loop().create_task(self._peer.call(method, topic=topic))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

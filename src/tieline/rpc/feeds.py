"""The topics followed here: events sorted to whoever iterates, each once, in order, whatever the link does meanwhile.

Events are taken from exactly where the other side's answer stands among them: what came before it belongs to an
earlier position. A reader that falls behind by `limits.event_queue` bytes is let go and read on from its position
later, just as after a lost link: one way for both.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec

from tieline.errors import LinkError, ProtocolError, TielineError
from tieline.rpc.arrival import Arrival
from tieline.rpc.subscription import Subscription
from tieline.wire.messages import UNREADABLE, Event

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer

_decode = msgspec.msgpack.Decoder(Event).decode


class Feeds:
    """All subscriptions of one peer, by topic."""

    __slots__ = ("_by_topic", "_left", "_loop", "_opening", "_peer")

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._by_topic: dict[str, WeakSet[Subscription]] = {}
        self._opening = 0  # subscriptions asked for and not answered yet; their topic may turn out to be any
        self._left: set[str] = set()  # topics the other side was told to send no more

    def event(self, payload: bytes) -> None:
        """An EVENT came in."""
        try:
            event = _decode(payload)
        except UNREADABLE as error:
            raise ProtocolError(f"not a valid EVENT: {error}") from error
        subscriptions = self._by_topic.get(event.topic)
        if subscriptions:
            size, most = len(payload), self._peer.limits.event_queue
            for subscription in subscriptions:
                subscription.push(event, size, most)
        elif event.topic not in self._left and not self._opening:
            self._leave(event.topic)

    async def open(self, subscription: Subscription, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "topics.subscribe":
            params = {"topic": subscription.topic, "after": subscription.after}
        self._opening += 1
        began = Arrival(partial(self._began, subscription))
        try:
            answer: dict[str, Any] = await self._peer.call(method, retry=True, returns=began, **params)
        except asyncio.CancelledError:
            # The other side may have subscribed us already.
            self._leave_unless_followed(subscription.topic)
            raise
        finally:
            self._opening -= 1
            self._forget_those_left()
        return answer

    async def rewind(self, subscription: Subscription) -> None:
        """Ask again for everything behind what the subscription has."""
        subscription.rewinding = True
        back = Arrival(lambda payload: subscription.caught_up(_position(payload)))
        try:
            await self._peer.call(
                "topics.subscribe", retry=True, returns=back, topic=subscription.topic, after=subscription.seen
            )
        finally:
            subscription.rewinding = False

    def fell_behind(self, topic: str) -> None:
        """A reader takes no more. When none of its topic does, what is sent meanwhile would be sent in vain."""
        others = self._by_topic[topic]
        if not self._opening and all(each.lagging and not each.rewinding for each in others):
            self._peer.tell("topics.hold", topic=topic)

    def discard(self, subscription: Subscription) -> None:
        """Nobody iterates over it any more."""
        subscriptions = self._by_topic.get(subscription.topic)
        if subscriptions is not None:
            subscriptions.discard(subscription)
            self._forget_those_left()

    def forget_soon(self, topic: str) -> None:
        """A subscription was dropped, from whatever thread: leave its topic if it was the last."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._forget_those_left)

    def link_lost(self, error: TielineError, *, comes_back: bool) -> None:
        self._left.clear()
        lost = [subscription for subscriptions in self._by_topic.values() for subscription in subscriptions]
        if not comes_back:
            self._by_topic = {}
        for subscription in lost:
            if comes_back:
                subscription.out_of_touch()
            else:
                subscription.fail(error)

    async def link_back(self) -> None:
        """Over a new link: go on with every topic where it stopped, all of them in one round trip."""
        await asyncio.gather(*(self._go_on(topic, subscriptions) for topic, subscriptions in self._by_topic.items()))
        self._forget_those_left()

    async def _go_on(self, topic: str, subscriptions: WeakSet[Subscription]) -> None:
        # Who is furthest first, since the other side only ever goes back. Each place is asked for by itself: an answer
        # also says whether the log reaches so far.
        places = sorted({subscription.seen for subscription in subscriptions}, reverse=True)
        try:
            for after in places:  # none when nobody iterates over it any more
                back = Arrival(partial(self._back, topic, after))
                await self._peer.call("topics.subscribe", returns=back, topic=topic, after=after)
        except LinkError:
            pass  # lost again: the next link begins anew
        except TielineError as error:
            for subscription in subscriptions:
                subscription.fail(error)

    # -- small things ------------------------------------------------------------------------------------------------

    def _began(self, subscription: Subscription, payload: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.msgpack.decode(payload)
        subscription.begin(answer.get("topic", subscription.topic), answer["position"])
        self._by_topic.setdefault(subscription.topic, WeakSet()).add(subscription)
        self._left.discard(subscription.topic)
        return answer

    def _back(self, topic: str, after: int, payload: bytes) -> None:
        position = _position(payload)
        for subscription in self._by_topic.get(topic, ()):
            if subscription.seen == after:
                subscription.caught_up(position)

    def _forget_those_left(self) -> None:
        # While one is being opened its topic is not known for sure, and must not be left behind its back.
        if not self._opening:
            for topic in [topic for topic, subscriptions in self._by_topic.items() if not subscriptions]:
                del self._by_topic[topic]
                self._leave(topic)

    def _leave_unless_followed(self, topic: str) -> None:
        if self._opening == 1 and not self._by_topic.get(topic):
            self._leave(topic)

    def _leave(self, topic: str) -> None:
        self._left.add(topic)
        self._peer.tell("topics.unsubscribe", topic=topic)


def _position(payload: bytes) -> int:
    """Of an answer to `topics.subscribe`: what comes from then on is behind it."""
    return int(msgspec.msgpack.decode(payload)["position"])

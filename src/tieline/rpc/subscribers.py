"""The topics of ours one peer is subscribed to."""

from typing import TYPE_CHECKING

from tieline.errors import LinkClosed, Overloaded
from tieline.rpc.topic import Subscriber, Topic

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer


class Subscribed:
    """By topic name; emptied when the link ends."""

    __slots__ = ("_by_name", "_peer")

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._by_name: dict[str, Subscriber] = {}

    def add(self, topic: Topic, after: int | None) -> int:
        """Subscribe, or rewind a subscription there is. Returns the position it starts behind."""
        subscriber = self._by_name.get(topic.name)
        if subscriber is not None and subscriber.topic is topic:
            return topic.rewind(subscriber, after)
        link = self._peer.link
        if link is None:
            raise LinkClosed
        self.remove(topic.name)
        if len(self._by_name) >= self._peer.limits.topics:
            raise Overloaded(f"this link follows {len(self._by_name)} topics; leave some first")
        subscriber = self._by_name[topic.name] = topic.subscribe(self._peer, link, after)
        return subscriber.position

    def remove(self, name: str) -> None:
        subscriber = self._by_name.pop(name, None)
        if subscriber is not None:
            subscriber.topic.leave(subscriber)

    def hold(self, name: str) -> None:
        subscriber = self._by_name.get(name)
        if subscriber is not None:
            subscriber.topic.hold(subscriber)

    def writable(self) -> None:
        """The socket has drained: go on where each topic stopped."""
        for subscriber in list(self._by_name.values()):
            subscriber.topic.resume(subscriber)

    def leave_all(self) -> None:
        subscribers, self._by_name = self._by_name, {}
        for subscriber in subscribers.values():
            subscriber.topic.leave(subscriber)

    def __len__(self) -> int:
        return len(self._by_name)

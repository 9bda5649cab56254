"""Which topics a server offers, by name and by family, and the methods by which callers follow them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tieline.errors import ConfigError, Denied, NotFound
from tieline.rpc.handlers import Handlers
from tieline.rpc.topic import Topic

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer

Open = Callable[[str, "Peer"], Awaitable[Topic]]
"open(name, peer): the topic of that name for that peer; raises Denied or NotFound"


class Topics:
    """All topics a server offers: single ones by name, families by prefix."""

    def __init__(self) -> None:
        self._single: dict[str, tuple[Topic, str | None]] = {}
        self._families: dict[str, tuple[Open, str | None]] = {}

    def add(self, topic: Topic, *, scope: str | None = None) -> Topic:
        """Offer one topic to callers who hold `scope`."""
        if topic.name in self._single:
            raise ConfigError(topic.name, "this topic exists already; give one of the two another name")
        self._single[topic.name] = (topic, scope)
        return topic

    def add_family(self, prefix: str, open_topic: Open, *, scope: str | None = None) -> None:
        """Offer all topics whose names begin with `prefix`; `open_topic` finds or makes them, and may refuse."""
        if prefix in self._families:
            raise ConfigError(prefix, "this family of topics exists already; give one of the two another name")
        self._families[prefix] = (open_topic, scope)

    async def open(self, name: str, peer: "Peer") -> Topic:
        """Raises NotFound or Denied."""
        if name in self._single:
            topic, scope = self._single[name]
            self._permit(name, peer, scope)
            return topic
        for prefix in sorted(self._families, key=len, reverse=True):
            if name.startswith(prefix):
                open_topic, scope = self._families[prefix]
                self._permit(name, peer, scope)
                return await open_topic(name, peer)
        raise NotFound(f"no topic {name[:80]!r} here{self._meant(name[:80], peer)}")

    def _meant(self, name: str, peer: "Peer") -> str:
        """A room's name is no topic, but `room/NAME` is."""
        near = [
            repr(f"{prefix}{name}")
            for prefix, (_, scope) in sorted(self._families.items())
            if prefix.endswith("/") and "/" not in name and peer.identity.may(scope)
        ]
        return f"; did you mean {' or '.join(near[:3])}?" if near else ""

    def _permit(self, name: str, peer: "Peer", scope: str | None) -> None:
        if not peer.identity.may(scope):
            raise Denied(peer.identity.refusal(f"the topic {name[:80]!r}", scope))


def install(handlers: Handlers, topics: Topics) -> None:
    """The two methods behind `peer.subscribe`."""
    from tieline.rpc.peer import Peer

    async def subscribe(topic: str, peer: Peer, after: int | None = None) -> dict[str, Any]:
        """Follow `topic` from behind position `after`; None: from now. Answers with its full name and position."""
        found = await topics.open(topic, peer)
        if not found.reaches(after):
            await found.settled()
            found = await topics.open(topic, peer)  # it may have been let go meanwhile
        return {"topic": found.name, "position": peer.attach(found, after)}

    def unsubscribe(topic: str, peer: Peer) -> None:
        """Follow `topic` no more."""
        peer.subscribed.remove(topic)

    def hold(topic: str, peer: Peer) -> None:
        """Send nothing of `topic` until it is subscribed to again, and stay subscribed: for a reader who is behind."""
        peer.subscribed.hold(topic)

    handlers.add(subscribe, "topics.subscribe")
    handlers.add(hold, "topics.hold")
    handlers.add(unsubscribe, "topics.unsubscribe")

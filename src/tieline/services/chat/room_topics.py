"""The rooms that somebody follows, as topics: published to from what the store commits, read on from what it keeps.

The store tells commits in order, and a head it is asked for comes after all commits it could have seen. So the head a
topic begins with is exact, and every later message is published to it once, in order.
"""

from typing import Any

from tieline.limits import Limits
from tieline.rpc.peer import Peer
from tieline.rpc.topic import Topic
from tieline.services.chat.presence import Presence
from tieline.store.chat import ChatStore, Committed

_HEADS_HELD = 65_536
"Rooms whose last position is remembered; anybody can name rooms that are not there."


class RoomTopics:
    """A topic is made when it is asked for and let go when nobody follows it."""

    def __init__(self, store: ChatStore, presence: Presence, limits: Limits) -> None:
        self._store = store
        self._presence = presence
        self._limits = limits
        self._topics: dict[str, Topic] = {}
        self._heads: dict[str, int] = {}
        self._begun: dict[str, int] = {}  # where rooms ended when this server first stored something there
        self._asking = 0

    def committed(self, added: Committed) -> None:
        """The store has these on disk now."""
        for room, posts in added.items():
            self._heads[room] = posts[-1].outcome.position
            if room not in self._begun and len(self._begun) < _HEADS_HELD:
                self._begun[room] = posts[0].outcome.position - 1
            topic = self._topics.get(room)
            if topic is None:
                continue
            if not topic.subscribers:
                del self._topics[room]
                continue
            for message in [post.message() for post in posts]:
                # A topic may be younger than the commit that is told now: its head counts this message already.
                if message.position > topic.position:
                    topic.publish(message, message.position)

    async def head(self, room: str) -> int:
        """The position of the last message that was published, or would have been had somebody followed."""
        known = self._heads.get(room)
        if known is not None:
            return known
        if len(self._heads) >= _HEADS_HELD and not self._asking:
            self._heads = {name: topic.position for name, topic in self._topics.items()}
        self._asking += 1
        try:
            stored = await self._store.head(room)
        finally:
            self._asking -= 1
        # Commits may have been told between the store's answer and now.
        head = self._heads[room] = max(stored, self._heads.get(room, 0))
        return head

    async def topic(self, room: str) -> Topic:
        """The topic of a room, by its full name. Subscribe to it before anything else is awaited."""
        topic = self._topics.get(room)
        if topic is None:
            head = await self.head(room)
            topic = self._topics.get(room) or self._make(room, head)
        return topic

    def _make(self, room: str, head: int) -> Topic:
        async def read(after: int, limit: int) -> list[tuple[int, Any]]:
            # The store may have more than was published; that comes as events.
            limit = min(limit, topic.position - after)
            page = await self._store.history(room, after=after, limit=limit) if limit > 0 else None
            return [(message.position, message) for message in page.messages] if page else []

        def moved(peer: Peer, came: bool) -> None:
            if not topic.subscribers and self._topics.get(room) is topic:
                del self._topics[room]
            self._presence.moved(room, peer.identity.account, came=came)

        topic = self._topics[room] = Topic(
            f"room/{room}",
            position=head,
            read=read,
            begun=self._begun.get(room),
            settled=lambda: self._store.head(room),
            on_change=moved,
            limits=self._limits,
        )
        return topic

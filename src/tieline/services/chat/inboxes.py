"""The topic `inbox`: what others write to one account directly, as it comes, without watching the room of each pair.

It is live only and holds nothing back: what was missed is in the pair's room, and unread there.
"""

from collections.abc import Callable

import msgspec

from tieline.errors import Denied
from tieline.limits import Limits
from tieline.rpc.peer import Peer
from tieline.rpc.topic import Topic
from tieline.store.chat import Committed, Message, Post, pair_of


class Direct(msgspec.Struct, frozen=True):
    """A direct message, and its room as the one it is for says it: `@` and the author."""

    room: str
    message: Message


class Inboxes:
    """A topic is made when its owner asks for it and let go when none of their links follows it."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._topics: dict[str, Topic] = {}
        self._last = 0  # position of any inbox that was let go

    def committed(self, added: Committed) -> None:
        """The store has these on disk now."""
        if not self._topics:
            return
        for room, posts in added.items():
            pair = pair_of(room)
            if pair is not None:
                for owner, other in (pair, pair[::-1]):
                    self._deliver(owner, other, posts)

    async def open(self, name: str, peer: Peer) -> Topic:
        """The caller's own, named `inbox` or `inbox/ACCOUNT`. Subscribe to it before anything else is awaited."""
        owner = peer.identity.account
        if name not in ("inbox", f"inbox/{owner}"):
            raise Denied("an inbox is for its owner; yours is the topic 'inbox'")
        if peer.identity.guest:
            raise Denied("guests cannot send or read direct messages; ask for an account")
        return self._topics.get(owner) or self._make(owner)

    def _deliver(self, owner: str, other: str, posts: list[Post]) -> None:
        topic = self._topics.get(owner)
        if topic is None or owner == other:  # notes to oneself are no news
            return
        if not topic.subscribers:  # whoever asked for it did not follow it after all
            self._let_go(owner)
            return
        for post in posts:
            if post.by == other:
                topic.publish(Direct(f"@{other}", post.message()))

    def _make(self, owner: str) -> Topic:
        def moved(peer: Peer, came: bool) -> None:
            if not topic.subscribers and self._topics.get(owner) is topic:
                self._let_go(owner)

        # Positions go on from the time, finer than messages can come, so that those of a topic that was let go, or
        # served before a restart, are never reached again: a client that saw those would take new messages for old.
        position = max(int(self._clock() * 1_000_000), self._last)
        topic = self._topics[owner] = Topic(f"inbox/{owner}", position=position, on_change=moved, limits=self._limits)
        return topic

    def _let_go(self, owner: str) -> None:
        self._last = max(self._last, self._topics.pop(owner).position)

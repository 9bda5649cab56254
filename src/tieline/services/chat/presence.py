"""Who is in which room: an account is there while at least one of its links follows the room's topic."""

import asyncio
from collections.abc import Callable

import msgspec

from tieline.limits import Limits
from tieline.rpc.topic import Topic


class Here(msgspec.Struct, frozen=True):
    """Names are sorted, and cut at `limits.here` of them; `count` is of all."""

    here: list[str]
    count: int


class Presence:
    """Counts links, publishes accounts: at most once in `limits.presence_pause` for each room, and always the last."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._links: dict[str, dict[str, int]] = {}
        self._topics: dict[str, Topic] = {}
        self._changed: set[str] = set()
        self._pauses: dict[str, asyncio.TimerHandle] = {}

    def here(self, room: str) -> Here:
        names = sorted(self._links.get(room, ()))
        return Here(names[: self._limits.here], len(names))

    def moved(self, room: str, account: str, *, came: bool) -> None:
        """A link of `account` began or ceased to follow the room."""
        links = self._links.setdefault(room, {})
        before = links.get(account, 0)
        after = before + (1 if came else -1)
        if after:
            links[account] = after
        else:
            del links[account]
            if not links:
                del self._links[room]
        if (before == 0 or after == 0) and room in self._topics:
            self._changed.add(room)
            if room not in self._pauses:
                self._publish(room)

    async def topic(self, room: str) -> Topic:
        """The topic that says who is in `room`: made when asked for, let go when nobody follows it."""
        topic = self._topics.get(room)
        if topic is None:
            # Positions go on from the time, so that those of a topic that was let go, or served before a restart,
            # are never reached again: a client that saw those would take new values for old ones.
            topic = self._topics[room] = Topic(
                f"presence/{room}",
                position=int(self._clock() * 1000),
                latest=True,
                on_change=lambda peer, came: self._followed(room, came=came),
                limits=self._limits,
            )
            topic.publish(self.here(room))
        return topic

    def _followed(self, room: str, *, came: bool) -> None:
        topic = self._topics.get(room)
        if not came and topic is not None and not topic.subscribers:
            del self._topics[room]

    def _publish(self, room: str) -> None:
        self._changed.discard(room)
        topic = self._topics[room]
        if not topic.subscribers:  # whoever asked for it did not follow it after all
            del self._topics[room]
            return
        topic.publish(self.here(room))
        loop = asyncio.get_running_loop()
        self._pauses[room] = loop.call_later(self._limits.presence_pause, self._pause_over, room)

    def _pause_over(self, room: str) -> None:
        del self._pauses[room]
        if room in self._changed and room in self._topics:
            self._publish(room)

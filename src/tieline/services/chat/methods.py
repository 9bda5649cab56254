"""The methods of chat. Each finds the room the caller means, checks what was given, and asks the store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec

from tieline.errors import InvalidArgument
from tieline.limits import Limits
from tieline.login.names import as_said
from tieline.rpc.peer import Peer
from tieline.services.chat.names import Names
from tieline.services.chat.presence import Here, Presence
from tieline.services.chat.room_topics import RoomTopics
from tieline.store.chat import ChatStore, Message, Page, Posted, RoomState, pair_room

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Entered(msgspec.Struct, frozen=True):
    """What one sees on entering a room; everything behind `position` comes as events of `topic`."""

    topic: str
    position: int
    messages: list[Message]
    end: bool
    "The room has no message before these."
    here: list[str]
    count: int
    topic_line: str


class RoomList(msgspec.Struct, frozen=True):
    """Rooms by name. `end`: that is all of them; else ask again with `after` the last name."""

    rooms: list[RoomState]
    end: bool


class TopicLine(msgspec.Struct, frozen=True):
    """What a room is about, as it is set now; empty for nothing."""

    topic_line: str


class Marker(msgspec.Struct, frozen=True):
    """Everything up to `position` was read."""

    position: int


class Chat:
    """`methods()` is what callers get, by name. `clock` gives unix seconds."""

    def __init__(
        self,
        store: ChatStore,
        names: Names,
        rooms: RoomTopics,
        presence: Presence,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._names = names
        self._rooms = rooms
        self._presence = presence
        self._limits = limits
        self._clock = clock

    def methods(self) -> dict[str, Callable[..., Any]]:
        offered = (self.post, self.history, self.enter, self.rooms, self.who, self.topic, self.read)
        return {method.__name__: method for method in offered}

    # Not `async def`: a post is answered by the store's own promise, without a task of its own.
    def post(self, room: str, text: str, id: str, peer: Peer) -> Awaitable[Posted]:
        """Say something. Answered when it is on disk; the same id again is the same message, so retrying is safe."""
        # No character takes more than four bytes, so most texts need not be encoded to know.
        if not 0 < len(text) <= self._limits.text // 4:
            _check_size("the message", text, self._limits.text)
            if not text:
                raise InvalidArgument("text: there is nothing in it to say")
        if not 0 < len(id) <= self._limits.message_id:
            raise InvalidArgument(
                f"id: must have 1 to {self._limits.message_id} characters; tieline.message_id() makes one"
            )
        full = self._names.at_once(room, peer.identity)
        if full is None:
            return asyncio.ensure_future(self._post_first(room, text, id, peer))
        return self._store.post(full, peer.identity.account, text, id, int(self._clock() * 1000))

    async def _post_first(self, room: str, text: str, id: str, peer: Peer) -> Posted:
        full = await self._names.full(room, peer.identity)
        return await self._store.post(full, peer.identity.account, text, id, int(self._clock() * 1000))

    async def history(
        self,
        room: str,
        peer: Peer,
        after: Count | None = None,
        before: Count | None = None,
        since: Count | None = None,
        limit: Count = 100,
    ) -> Page:
        """A page of messages: behind a position, before one, from a time on (unix ms), or else the latest.

        Always in order of position. `end` says that there are no more in that direction; a page may be shorter than
        `limit` without it.
        """
        if sum(bound is not None for bound in (after, before, since)) > 1:
            raise InvalidArgument("give one of after, before and since")
        full = await self._names.full(room, peer.identity)
        limit = max(1, min(limit, self._limits.page))
        return await self._store.history(full, after=after, before=before, since=since, limit=limit)

    async def enter(self, room: str, peer: Peer, last: Count = 50) -> Entered:
        """The last messages and who is here, and follow the room from there: nothing is lost or doubled between."""
        full = await self._names.full(room, peer.identity)
        position = await self._rooms.head(full)
        page = Page([], position == 0)
        if last and position:
            page = await self._store.history(full, before=position + 1, limit=min(last, self._limits.page))
        topic_line = await self._store.topic_line(full)
        topic = await self._rooms.topic(full)
        peer.attach(topic, position)
        here = self._presence.here(full)
        return Entered(topic.name, position, page.messages, page.end, here.here, here.count, topic_line)

    async def rooms(self, peer: Peer, after: str = "", limit: Count = 1000) -> RoomList:
        """The rooms there are, with what is unread in each (never more than a page's worth is counted)."""
        if after.startswith("@") and "+" not in after:
            after = pair_room(peer.identity.account, after[1:])
        found, end = await self._store.rooms(
            peer.identity.account, after=after, limit=max(1, min(limit, self._limits.page)), cap=self._limits.page
        )
        return RoomList(
            [msgspec.structs.replace(room, name=as_said(room.name, peer.identity.account)) for room in found], end
        )

    async def who(self, room: str, peer: Peer) -> Here:
        """Who follows the room now."""
        return self._presence.here(await self._names.full(room, peer.identity))

    async def topic(self, room: str, peer: Peer, text: str | None = None) -> TopicLine:
        """The line that says what a room is about; with `text`, after setting it."""
        full = await self._names.full(room, peer.identity)
        if text is None:
            return TopicLine(await self._store.topic_line(full))
        _check_size("the topic line", text, self._limits.topic_line)
        if len(text.splitlines()) > 1:
            raise InvalidArgument("text: a topic line is one line")
        await self._store.set_topic_line(full, text)
        return TopicLine(text)

    async def read(self, room: str, position: Count, peer: Peer, alone: bool = False) -> Marker:
        """Note that everything up to `position` was read. The marker never goes back.

        With `alone` only the message at `position` was: the marker stays when something before it is unread.
        """
        full = await self._names.full(room, peer.identity)
        return Marker(await self._store.mark_read(full, peer.identity.account, position, alone=alone))


def _check_size(what: str, text: str, limit: int) -> None:
    if (size := len(text.encode(errors="replace"))) > limit:
        raise InvalidArgument(f"{what} is {size:,} bytes, the limit is {limit:,}")

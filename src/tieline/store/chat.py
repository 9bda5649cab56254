"""What the store keeps for chat, and what chat needs from whoever keeps it. Frozen structs, one Protocol, two names.

A room is a log: positions run from 1 without a gap and never change. Times are unix milliseconds and never go back
within a room. A room comes to be with its first message or topic line.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from tieline.promise import Promise


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message of a room, as it is stored and as it travels."""

    position: int
    at: int
    by: str
    text: str
    id: str
    "What the author's client called it; the same author and id are the same message, for ever."


class Posted(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A message is on disk. `duplicate`: it was there before, and this is where."""

    position: int
    at: int
    duplicate: bool = False


class Post(Promise[Posted], eq=False, gc=False):
    """A message on its way to the disk, and the promise of it. `at` is when the author's server had it."""

    room: str
    by: str
    text: str
    id: str
    at: int

    def message(self) -> Message:
        """As it is stored; once it is."""
        return Message(self.outcome.position, self.outcome.at, self.by, self.text, self.id)


class Page(msgspec.Struct, frozen=True):
    """Messages in order of position. `end`: there are no more in the direction that was asked for."""

    messages: list[Message]
    end: bool


class RoomState(msgspec.Struct, frozen=True):
    """A room as one account sees it. `unread` leaves out one's own messages and is capped by the one who asks."""

    name: str
    position: int
    at: int | None
    "When its last message came; None while there is none."
    unread: int
    topic_line: str = ""


Committed = dict[str, list[Post]]
"What one commit added, by room, in order of position. Most of it nobody follows, so it is not made messages of yet."


class ChatStore(Protocol):
    """Rooms are named by their canonical names. Everything is durable when it returns."""

    on_committed: Callable[[Committed], None] | None
    """Called on the loop once for each commit, before the posts in it are answered. Commits come in order, and the
    answer of any method comes after all commits that it could have seen on its way through the writer."""

    def post(self, room: str, by: str, text: str, id: str, at: int) -> Promise[Posted]:
        """Add a message; told when it is durable. `at` is raised to the room's last time if it is earlier.

        Raises Overloaded at once when too much waits. What is told may be Conflict (the author used this id for
        another message) or Unavailable (the disk took nothing).
        """

    async def head(self, room: str) -> int:
        """The position of the last message; 0 for a room that is not there. Asks the writer, see `on_committed`."""

    async def history(
        self, room: str, *, after: int | None = None, before: int | None = None, since: int | None = None, limit: int
    ) -> Page:
        """Messages after a position (forward), before one (backward), from a time on, or the latest (backward)."""

    async def rooms(self, account: str, *, after: str = "", limit: int, cap: int) -> tuple[list[RoomState], bool]:
        """Rooms this account may see, by name, and whether that is all. Unread counts stop at `cap`."""

    async def topic_line(self, room: str) -> str: ...

    async def set_topic_line(self, room: str, text: str) -> None: ...

    async def mark_read(self, room: str, account: str, position: int, *, alone: bool = False) -> int:
        """Move the read marker forward, at most to the last message. Returns where it is now: 0 without the room.

        `alone`: only that message was read, so the marker stays when something before it is unread.
        """


def pair_room(one: str, other: str) -> str:
    """The canonical name of the direct messages of two accounts."""
    first, second = sorted((one, other))
    return f"@{first}+{second}"


def pair_of(room: str) -> tuple[str, str] | None:
    """The two accounts whose room this is; None for a room that is open to all."""
    if not room.startswith("@"):
        return None
    first, _, second = room[1:].partition("+")
    return first, second

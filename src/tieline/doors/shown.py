"""What a person at the lines door sees of chat: messages, rooms, comings and goings, as lines. Pure.

Every line comes out safe for a terminal, and every line of a message shows that it is one: a text with a line break in
it cannot pass for two messages.
"""

from datetime import datetime

import msgspec

from tieline.wire.safe_text import safe_lines, safe_text

_NAMED = 8
"Names spelled out when many come or go at once."


class Message(msgspec.Struct, frozen=True):
    """What chat tells of a message; times in unix milliseconds."""

    position: int
    at: int
    by: str
    text: str
    id: str = ""


class Direct(msgspec.Struct, frozen=True):
    """A message to oneself, and the room to answer in: `@` and who wrote it."""

    room: str
    message: Message


class Page(msgspec.Struct, frozen=True):
    messages: list[Message]
    end: bool = True


class Here(msgspec.Struct, frozen=True):
    """Who is in a room; the names may be cut, the count is of all."""

    here: list[str]
    count: int


class Entered(msgspec.Struct, frozen=True):
    messages: list[Message]
    here: list[str]
    count: int
    position: int = 0
    topic_line: str = ""
    end: bool = True


class Room(msgspec.Struct, frozen=True):
    name: str
    position: int = 0
    unread: int = 0
    topic_line: str = ""


class Rooms(msgspec.Struct, frozen=True):
    rooms: list[Room]
    end: bool = True


def message_lines(message: Message, now: datetime, place: str = "") -> list[str]:
    """`10:15 ada: text`, or `10:15 ada (to you): text`; the following lines of one text are set in."""
    first, *others = safe_lines(message.text)
    by = safe_text(f"{message.by} ({place})" if place else message.by)
    return [f"{clock(message.at, now)} {by}: {first}", *(f"      | {line}" for line in others)]


def now() -> datetime:
    """The time on the server's clock, in its time zone: what `clock` compares with."""
    return datetime.now().astimezone()


def clock(at: int, now: datetime) -> str:
    """The time of day, with the date before it when that is another day than `now`'s. In the time zone of `now`."""
    try:
        when = datetime.fromtimestamp(at / 1000, now.tzinfo)
    except (OverflowError, OSError, ValueError):
        return "--:--"
    return when.strftime("%H:%M" if when.date() == now.date() else "%Y-%m-%d %H:%M")


def entered_lines(room: str, entered: Entered, me: str, now: datetime) -> list[str]:
    """What one sees on coming into a room."""
    told = f"* {room}: {entered.topic_line}" if entered.topic_line else f"* you are in {room}"
    lines = [safe_text(told), here_line(Here(entered.here, entered.count), me)]
    for message in entered.messages:
        lines += message_lines(message, now)
    return lines


def answer_line(by: str) -> str:
    """How to answer a direct message."""
    return safe_text(f"* only you can read that; answer with /msg {by} …")


def missed_line(room: Room) -> str:
    """That there are direct messages which came before one was here."""
    return safe_text(f"* {room.unread:,} unread from {room.name[1:]}; /join {room.name}")


def here_line(here: Here, me: str) -> str:
    """`* here: ada, bob (you)`."""
    names = ", ".join(f"{name} (you)" if name == me else name for name in here.here)
    more = here.count - len(here.here)
    return safe_text(f"* here: {names or 'nobody'}{f' and {more:,} more' if more > 0 else ''}")


def together(one: Here, other: Here) -> Here:
    """Everybody who is in either."""
    names = sorted({*one.here, *other.here})
    return Here(names, max(one.count, other.count, len(names)))


def moved_lines(before: Here, after: Here, me: str) -> list[str]:
    """Who joined and who left between the two. Nothing when names were cut: nobody knows then."""
    if before.count > len(before.here) or after.count > len(after.here):
        return []
    came = sorted(set(after.here) - set(before.here) - {me})
    went = sorted(set(before.here) - set(after.here) - {me})
    return [safe_text(f"* {_some(names)} {verb}") for names, verb in ((came, "joined"), (went, "left")) if names]


def room_line(room: Room) -> str:
    """`lobby  12 messages, 3 unread: what it is about`."""
    unread = f", {room.unread:,} unread" if room.unread else ""
    about = f": {room.topic_line}" if room.topic_line else ""
    return safe_text(f"* {room.name}  {room.position:,} message{'s' * (room.position != 1)}{unread}{about}")


def _some(names: list[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED:,} more"

"""A person in a room: what others say there or to them appears, what is typed is posted, /lines are commands."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tieline.errors import TielineError
from tieline.login.names import as_said
from tieline.wire.safe_text import safe_text

from .chat_commands import COMMANDS
from .first import first
from .history import Message
from .output import folded, message_lines
from .posting import post
from .read_marker import ReadMarker
from .screen import Screen

if TYPE_CHECKING:
    from tieline.client import Client

Left = tuple[list[asyncio.Task[None]], ReadMarker | None]
"What was followed in a room one has left, and its read marker."

LAST = 20
"Messages shown on entering a room."

MISSED = 20
"People told of at most, from whom there are unread direct messages."


class Conversation:
    """One at a time in one room. Ends with the input, with /quit, or when the server lets us in no more."""

    def __init__(self, client: "Client", screen: Screen, timeout: float) -> None:
        self.client = client
        self.screen = screen
        self.timeout = timeout
        self.room = ""
        self.over = False
        self._following: list[asyncio.Task[None]] = []
        self._marker: ReadMarker | None = None
        self._read = 0
        self._entering = ""
        self._read_of: dict[str, int] = {}  # by room of direct messages one was in: the last position shown there
        self._said_how_to_answer = False

    async def run(self, room: str) -> None:
        """Talk until it is over. Raises LoginError when the server lets us in no more."""
        self.client.on_link = self._link_changed
        inbox: list[asyncio.Task[None]] = []
        try:
            await self.enter(room)
            inbox.append(asyncio.create_task(self._inbox()))
            await first(self._talk(), self.client.over())
        finally:
            following, marker = self._leave()
            await _end([*following, *inbox], marker)

    async def enter(self, room: str) -> None:
        """Go to a room: its topic line, who is here, its last messages, and then what comes. Raises CallError."""
        room = as_said(room, self.client.identity.account)
        subscription = self.client.subscribe(f"room/{room}")
        self._entering = room
        try:
            snapshot = await subscription.open("chat.enter", room=room, last=LAST)
        finally:
            self._entering = ""
        # Nothing is awaited from here until one is in the room: a direct message comes either there or by the inbox.
        left = self._leave()
        self.room = room
        self.screen.prompt = f"{safe_text(room)}> "
        self._introduce(snapshot)
        self._marker = ReadMarker(self.client, room)
        self._saw(snapshot["position"])
        self._follow(self._messages(subscription))
        self._follow(self._presence(room, snapshot))
        await _end(*left)

    def tell(self, text: str) -> None:
        """Say something to the person, apart from what people say."""
        for line in folded(f"* {safe_text(text)}", self.screen.columns, "  "):
            self.screen.show(line)

    def show(self, message: Message, place: str = "") -> None:
        """Show what somebody said."""
        at, by, text = message["at"], message["by"], message["text"]
        for line in message_lines(at, by, text, short=True, place=place, columns=self.screen.columns):
            self.screen.show(line)

    async def say(self, room: str, text: str) -> None:
        """Post, and return when it is stored."""
        await post(self.client, room, text, self.timeout)

    async def ask(self, method: str, **params: Any) -> Any:
        """A call within the timeout."""
        return await self.client.call(method, timeout=self.timeout, **params)

    async def _talk(self) -> None:
        async for line in self.screen.typed():
            await self._typed(line)
            if self.over:
                return

    async def _typed(self, line: str) -> None:
        try:
            if line.startswith("/") and not line.startswith("//"):
                await COMMANDS.run(self, line[1:])
            elif line.strip():
                await self.say(self.room, line.removeprefix("/") if line.startswith("//") else line)
        except TielineError as error:
            self.tell(str(error))

    def _introduce(self, snapshot: dict[str, Any]) -> None:
        topic_line = snapshot.get("topic_line")
        self.tell(f"{self.room}: {topic_line}" if topic_line else f"you are in {self.room}; /help lists what to type")
        others = ", ".join(name for name in snapshot["here"] if name != self.client.identity.account)
        unnamed = snapshot["count"] - len(snapshot["here"])
        self.tell(f"here: {others}{f' and {unnamed} more' if unnamed else ''}" if others else "nobody else is here")
        for message in snapshot["messages"]:
            self.show(message)

    def _saw(self, position: int) -> None:
        self._read = position
        if self._marker is not None:
            self._marker.saw(position)

    def _follow(self, events: "asyncio._CoroutineLike[None]") -> None:
        self._following.append(asyncio.create_task(events))

    async def _messages(self, subscription: Any) -> None:
        try:
            async for event in subscription:
                self.show(event.value)
                self._saw(event.position)
        except TielineError as error:
            self.tell(f"nothing more comes from {self.room}: {error}")

    async def _presence(self, room: str, here: dict[str, Any]) -> None:
        first = True
        with suppress(TielineError):  # who is here is a courtesy; a server may not tell
            async for event in self.client.subscribe(f"presence/{room}"):
                news = event.value
                if first:  # it may be older than what one was told on coming in
                    news, first = _together(here, news), False
                self._moved(here, news)
                here = news

    def _moved(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        if any(each["count"] > len(each["here"]) for each in (before, after)):
            return  # names were cut: nobody knows who came and who went
        was, now = ({*each["here"]} - {self.client.identity.account} for each in (before, after))
        for name in sorted(now - was):
            self.tell(f"{name} is here")
        for name in sorted(was - now):
            self.tell(f"{name} left")

    async def _inbox(self) -> None:
        """What others write to one directly, wherever one is."""
        with suppress(TielineError):  # guests have none
            inbox = self.client.subscribe("inbox")
            await inbox.open()
            await self._tell_missed()
            async for event in inbox:
                self._written(event.value["room"], event.value["message"])

    def _written(self, room: str, message: Message) -> None:
        """A direct message came. If one is in its room, it is shown there."""
        if room in (self.room, self._entering) or message["position"] <= self._read_of.get(room, 0):
            return
        self.show(message, "to you")
        self.client.tell("chat.read", room=room, position=message["position"], alone=True)
        if not self._said_how_to_answer:
            self._said_how_to_answer = True
            self.tell(f"only you can read that; answer with /msg {message['by']} …")

    def _link_changed(self, text: str) -> None:
        self.tell(text)
        if self.client.is_open:  # rooms are read on from where one was, the inbox is not
            self._follow(self._tell_missed())

    async def _tell_missed(self) -> None:
        """Which direct messages came while one was not here."""
        with suppress(TielineError):
            for room in (await self.ask("chat.rooms", after="@", limit=MISSED))["rooms"]:
                if room["name"].startswith("@") and room["unread"] and room["name"] != self.room:
                    self.tell(f"{room['unread']} unread from {room['name'][1:]}; /join {room['name']}")

    def _leave(self) -> Left:
        """Stop following the room. What is left to do is for `_end`."""
        left = self._following, self._marker
        for task in self._following:
            task.cancel()
        if self.room.startswith("@"):
            self._read_of[self.room] = self._read
        self._following, self._marker = [], None
        return left


async def _end(following: list[asyncio.Task[None]], marker: ReadMarker | None) -> None:
    """Wait until nothing is followed any more, and note how far was read."""
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    if marker is not None:
        await marker.close()


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Everybody who is in either."""
    names = {*one["here"], *other["here"]}
    return {"here": sorted(names), "count": max(one["count"], other["count"], len(names))}

"""A person in a room: what others say appears, what is typed is posted, lines that begin with / are commands."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tieline.errors import TielineError
from tieline.wire.safe_text import safe_text

from .chat_commands import find
from .history import Message
from .output import message_lines
from .posting import post
from .screen import Screen

if TYPE_CHECKING:
    from tieline.client import Client

LAST = 20
"Messages shown on entering a room."


class Conversation:
    """One at a time in one room. Ends with the input, with /quit, or when the server lets us in no more."""

    def __init__(self, client: "Client", screen: Screen, timeout: float) -> None:
        self.client = client
        self.screen = screen
        self.timeout = timeout
        self.room = ""
        self.over = False
        self._following: list[asyncio.Task[None]] = []
        self._read = 0
        self._here: set[str] | None = None

    async def run(self, room: str) -> None:
        """Talk until it is over."""
        self.client.on_link = self.tell
        try:
            await self.enter(room)
            async for line in self.screen.typed():
                await self._typed(line)
                if self.over:
                    return
        finally:
            await self._leave()

    async def enter(self, room: str) -> None:
        """Go to a room: its topic line, who is here, its last messages, and then what comes. Raises CallError."""
        subscription = self.client.subscribe(f"room/{room}")
        snapshot = await subscription.open("chat.enter", room=room, last=LAST)
        await self._leave()
        self.room = room
        self._here = None
        self.screen.prompt = f"{safe_text(room)}> "
        self._read = snapshot["position"]
        self._introduce(snapshot)
        self._follow(self._messages(subscription))
        self._follow(self._presence(room))

    def tell(self, text: str) -> None:
        """Say something to the person, apart from what people say."""
        self.screen.show(f"* {safe_text(text)}")

    def show(self, message: Message) -> None:
        """Show what somebody said."""
        for line in message_lines(message["at"], message["by"], message["text"], short=True):
            self.screen.show(line)

    async def say(self, room: str, text: str) -> None:
        """Post, and return when it is stored."""
        await post(self.client, room, text, self.timeout)

    async def ask(self, method: str, **params: Any) -> Any:
        """A call within the timeout."""
        return await self.client.call(method, timeout=self.timeout, **params)

    async def _typed(self, line: str) -> None:
        try:
            if line.startswith("/") and not line.startswith("//"):
                word, _, rest = line[1:].strip().partition(" ")
                await find(word).run(self, rest.strip())
            elif line.strip():
                await self.say(self.room, line.removeprefix("/") if line.startswith("//") else line)
        except TielineError as error:
            self.tell(str(error))

    def _introduce(self, snapshot: dict[str, Any]) -> None:
        topic_line = snapshot.get("topic_line")
        self.tell(f"{self.room}: {topic_line}" if topic_line else f"you are in {self.room}; /help lists what to type")
        for message in snapshot["messages"]:
            self.show(message)

    def _follow(self, events: "asyncio._CoroutineLike[None]") -> None:
        self._following.append(asyncio.create_task(events))

    async def _messages(self, subscription: Any) -> None:
        try:
            async for event in subscription:
                self.show(event.value)
                self._read = event.position
        except TielineError as error:
            self.tell(f"nothing more comes from {self.room}: {error}")

    async def _presence(self, room: str) -> None:
        with suppress(TielineError):  # who is here is a courtesy; a server may not tell
            async for event in self.client.subscribe(f"presence/{room}"):
                self._changed(set(event.value["here"]))

    def _changed(self, here: set[str]) -> None:
        before, self._here = self._here, here
        if before is None:
            others = sorted(here - {self.client.identity.account})
            self.tell(f"here: {', '.join(others)}" if others else "nobody else is here")
            return
        for name in sorted(here - before):
            self.tell(f"{name} is here")
        for name in sorted(before - here):
            self.tell(f"{name} left")

    async def _leave(self) -> None:
        """Stop following the room, and note how far it was read."""
        following, self._following = self._following, []
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        if self._read and self.client.is_open:
            with suppress(TielineError):  # what was read is shown as unread once more: no harm
                await self.client.call("chat.read", timeout=1.0, room=self.room, position=self._read)

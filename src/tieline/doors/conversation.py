"""A visitor who is logged in: typed lines go to a room, what others say comes back, `/words` and JSON are carried out.

Everything is done through a peer. One line is finished before the next is looked at, so answers come in order.
"""

import asyncio
import secrets
from typing import Any, TypeVar

import msgspec

from tieline.doors import json_rpc, shown
from tieline.doors.sign_in import HTTP_HERE, is_http
from tieline.doors.typed import Typed
from tieline.doors.visitor import Visitor
from tieline.doors.words import WORDS
from tieline.errors import LinkError, TielineError
from tieline.login.names import as_said
from tieline.rpc.peer import Peer
from tieline.rpc.subscription import Subscription

T = TypeVar("T")
_INBOX = "/inbox"
"Stands among the rooms one follows; no room has such a name."
START = "lobby"
LAST = 10
"Messages shown on coming into a room."
MISSED = 20
"People told of at most, from whom there are unread direct messages."


class Conversation:
    """In one room at a time, and reached by direct messages from everybody."""

    def __init__(self, visitor: Visitor, peer: Peer) -> None:
        self.room = ""
        "Where lines go; empty for a caller who may not chat."
        self.over = False
        self._visitor = visitor
        self._peer = peer
        self._tasks: asyncio.TaskGroup
        self._following: dict[str, list[asyncio.Task[None]]] = {}  # by room
        self._seen: dict[str, int] = {}  # by room: the last position shown
        self._mine: set[str] = set()  # ids of messages that must not come back as an echo
        self._posted = 0
        self._name = secrets.token_hex(8)  # of this conversation, for the ids of its messages
        self._said_replaced = False
        self._said_how_to_answer = False

    async def run(self) -> None:
        """Until the visitor has no more to say or says /quit. Cancelling is safe."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._try(self.enter(START))
                if not self.room:
                    self.tell("you may not chat here; calls as JSON-RPC, one object on a line, still work")
                while not self.over and (typed := await self._visitor.line()) is not None:
                    await self._visitor.drained()
                    await self._heard(typed)
                    await asyncio.sleep(0)  # a thousand empty lines must not hold up everybody else
            finally:
                for room in list(self._following):
                    self._leave(room)

    # -- for the words -------------------------------------------------------------------------------------------

    @property
    def me(self) -> str:
        """The visitor's account."""
        return self._peer.identity.account

    def tell(self, *lines: str) -> None:
        """Something that nobody in the room said."""
        self._visitor.say(*(f"* {line}" for line in lines))

    def show(self, *lines: str) -> None:
        self._visitor.say(*lines)

    def quit(self) -> None:
        self.over = True
        self._visitor.part("Goodbye.")

    async def drained(self) -> None:
        await self._visitor.drained()

    async def ask(self, method: str, returns: type[T], **params: Any) -> T:
        """A call whose answer is decoded as `returns`."""
        answer: T = await self._peer.call(method, returns=returns, **params)
        return answer

    async def enter(self, room: str) -> None:
        """Go to a room: what it is about, who is here, its last messages, and from then on what is said."""
        room = as_said(room, self.me)
        subscription = self._peer.subscribe(f"room/{room}")
        self._following.setdefault(room, [])  # from here on its messages come this way, not by the inbox
        try:
            entered = msgspec.convert(await subscription.open("chat.enter", room=room, last=LAST), shown.Entered)
        except TielineError:
            if not self._following[room]:
                del self._following[room]
            raise
        if not self.room.startswith("@"):  # direct messages go on wherever one is
            self._leave(self.room)
        self._leave(room)
        self.room = room
        self.show(*shown.entered_lines(room, entered, self.me, shown.now()))
        self._seen[room] = entered.position
        self._mark_read(room)
        self._follow(room, self._messages(subscription, room))
        if not room.startswith("@"):
            self._follow(room, self._presence(room, shown.Here(entered.here, entered.count)))
        if _INBOX not in self._following and not self._peer.identity.guest:
            inbox = self._peer.subscribe("inbox", value=shown.Direct)
            await inbox.open()
            self._follow(_INBOX, self._inbox(inbox))
            missed = await self.ask("chat.rooms", shown.Rooms, after="@", limit=MISSED)
            self.show(*(shown.missed_line(each) for each in missed.rooms if each.name.startswith("@") and each.unread))

    async def post(self, room: str, text: str) -> None:
        """Say something; it is stored when this returns. It comes back to others only."""
        self._posted += 1
        id = f"{self._name}-{self._posted}"
        if room in self._following:
            self._mine.add(id)
        try:
            await self._peer.call("chat.post", room=room, text=text, id=id)
        except TielineError:
            self._mine.discard(id)
            raise

    # -- what is typed -------------------------------------------------------------------------------------------

    async def _heard(self, typed: Typed) -> None:
        if is_http(typed):
            self.over = True
            self._visitor.part(HTTP_HERE)
        elif typed.too_long:
            self.tell(f"that line is longer than {self._visitor.line_limit:,} bytes; it was left out")
        else:
            if typed.replaced and not self._said_replaced:
                self._said_replaced = True
                self.tell("what you type is not all UTF-8; what is not was replaced by \ufffd")
            await self._try(self._do(typed.text))

    async def _do(self, text: str) -> None:
        if text.startswith("{"):
            answer = await json_rpc.answer(self._peer, text)
            if answer is not None:
                self._visitor.say(answer)
        elif text.startswith("/"):
            await WORDS.run(self, text[1:])
        elif text.strip():
            await self.say(text)

    async def say(self, text: str) -> None:
        """Post to the room one is in."""
        if self.room:
            await self.post(self.room, text)
        else:
            self.tell("you are in no room; /join ROOM")

    async def _try(self, doing: Any) -> None:
        try:
            await doing
        except TielineError as error:
            self.tell(f"that did not work: {error}")

    # -- what others say -----------------------------------------------------------------------------------------

    def _follow(self, room: str, events: Any) -> None:
        self._following.setdefault(room, []).append(self._tasks.create_task(events))

    def _leave(self, room: str) -> None:
        for task in self._following.pop(room, ()):
            task.cancel()
        self._mark_read(room)

    def _mark_read(self, room: str) -> None:
        """What was shown is not unread any more, wherever this account looks."""
        position = self._seen.pop(room, 0)
        if position and not self._peer.identity.guest:
            self._peer.tell("chat.read", room=room, position=position)

    async def _messages(self, subscription: Subscription, room: str) -> None:
        try:
            async for event in subscription:
                message = msgspec.convert(event.value, shown.Message)
                if message.id in self._mine and message.by == self.me:
                    self._mine.discard(message.id)
                else:
                    await self._visitor.drained()
                    self.show(*shown.message_lines(message, shown.now(), self._place(room, message)))
                self._seen[room] = message.position
        except LinkError:
            return  # the visitor is told when the link ends
        except (TielineError, msgspec.ValidationError) as error:
            self.tell(f"nothing more comes from {room}: {error}")
        finally:
            await subscription.aclose()

    async def _inbox(self, subscription: Subscription) -> None:
        try:
            async for event in subscription:
                await self._visitor.drained()
                direct: shown.Direct = event.value
                if direct.room not in self._following:
                    self.show(*shown.message_lines(direct.message, shown.now(), "to you"))
                    self._tell_how_to_answer(direct.message.by)
                    self._peer.tell("chat.read", room=direct.room, position=direct.message.position, alone=True)
        except LinkError:
            return  # the visitor is told when the link ends
        except TielineError as error:
            self.tell(f"no more direct messages come: {error}")
        finally:
            await subscription.aclose()

    def _tell_how_to_answer(self, by: str) -> None:
        if not self._said_how_to_answer:
            self._said_how_to_answer = True
            self.show(shown.answer_line(by))

    def _place(self, room: str, message: shown.Message) -> str:
        """Where a message belongs, when that is not where one is."""
        if room == self.room:
            return ""
        return f"to {room[1:]}" if message.by == self.me else "to you"

    async def _presence(self, room: str, here: shown.Here) -> None:
        subscription = self._peer.subscribe(f"presence/{room}")
        first = True  # and may be older than what one was told on coming in
        try:
            async for event in subscription:
                news = msgspec.convert(event.value, shown.Here)
                if first:
                    news, first = shown.together(here, news), False
                await self._visitor.drained()
                self.show(*shown.moved_lines(here, news, self.me))
                here = news
        except (TielineError, msgspec.ValidationError):
            return  # who is here is a courtesy
        finally:
            await subscription.aclose()

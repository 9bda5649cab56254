"""What can be typed after a slash at the lines door, one record each; /help is made of them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from tieline.doors import shown
from tieline.doors.shown import Here, Page, Rooms
from tieline.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from tieline.doors.conversation import Conversation

Run = Callable[["Conversation", str], Awaitable[None]]
HISTORY = 20
"Messages shown when nobody says how many."
MOST = 1000


class Word(msgspec.Struct, frozen=True):
    """`/name arguments`: what it does, in words and as a function of the conversation and the rest of the line."""

    name: str
    arguments: str
    about: str
    run: Run

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.arguments}".rstrip()


WORDS: dict[str, Word] = {}


def find(name: str) -> Word:
    """Raises NotFound, whose sentence says where to look."""
    try:
        return WORDS[name.lower()]
    except KeyError:
        raise NotFound(f"there is no /{name[:40]}; /help lists what there is") from None


def _word(name: str, arguments: str, about: str) -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        WORDS[name] = Word(name, arguments, about, run)
        return run

    return register


def _need(rest: str, word: str) -> str:
    if not rest:
        raise InvalidArgument(f"type {WORDS[word].usage}")
    return rest


@_word("help", "", "this list")
async def _help(talk: "Conversation", rest: str) -> None:
    width = max(len(word.usage) for word in WORDS.values())
    talk.tell(*(f"{word.usage:<{width}}  {word.about}" for word in WORDS.values()))
    talk.tell("every other line is said in the room; a JSON-RPC 2.0 object on a line is a call")


@_word("join", "ROOM", "go to a room, made on first use; @NAME for direct messages")
async def _join(talk: "Conversation", rest: str) -> None:
    await talk.enter(_need(rest, "join").removeprefix("#"))


@_word("who", "[ROOM]", "who is there")
async def _who(talk: "Conversation", rest: str) -> None:
    here = await talk.ask("chat.who", Here, room=_need(rest or talk.room, "who"))
    talk.show(shown.here_line(here, talk.me))


@_word("msg", "NAME TEXT", "say something to one person only")
async def _msg(talk: "Conversation", rest: str) -> None:
    name, _, text = rest.partition(" ")
    _need(text.strip(), "msg")
    await talk.post(f"@{name.removeprefix('@')}", text.strip())


@_word("say", "TEXT", "say it in the room, even if it begins with / or {")
async def _say(talk: "Conversation", rest: str) -> None:
    await talk.say(_need(rest, "say"))


@_word("history", "[COUNT]", "what was said here before")
async def _history(talk: "Conversation", rest: str) -> None:
    if rest and not (rest.isdecimal() and rest.isascii() and len(rest) < 10 and int(rest)):
        raise InvalidArgument(f"type {WORDS['history'].usage}, a number above zero")
    room = _need(talk.room, "join")
    pages: list[Page] = []
    missing = min(int(rest or HISTORY), MOST)
    while missing > 0:
        before = {"before": pages[-1].messages[0].position} if pages else {}
        page = await talk.ask("chat.history", Page, room=room, limit=missing, **before)
        if page.messages:
            pages.append(page)
            missing -= len(page.messages)
        if page.end or not page.messages:
            break
    now = shown.now()
    for page in reversed(pages):
        for message in page.messages:
            await talk.drained()
            talk.show(*shown.message_lines(message, now))
    if not pages:
        talk.tell(f"nothing was said in {room} yet")


@_word("rooms", "", "which rooms there are")
async def _rooms(talk: "Conversation", rest: str) -> None:
    after = ""
    while True:
        found = await talk.ask("chat.rooms", Rooms, after=after)
        await talk.drained()
        talk.show(*map(shown.room_line, found.rooms))
        if not found.rooms and not after:
            talk.tell("nothing was said anywhere yet")
        if found.end or not found.rooms:
            return
        after = found.rooms[-1].name


@_word("quit", "", "leave")
async def _quit(talk: "Conversation", rest: str) -> None:
    talk.quit()

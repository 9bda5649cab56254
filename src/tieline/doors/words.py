"""What can be typed after a slash at the lines door, one record each; /help is made of them."""

from typing import TYPE_CHECKING

from tieline.doors import shown
from tieline.doors.shown import Here, Page, Rooms
from tieline.errors import InvalidArgument
from tieline.slash import SlashCommands

if TYPE_CHECKING:
    from tieline.doors.conversation import Conversation

HISTORY = 20
"Messages shown when nobody says how many."
MOST = 1000

WORDS: "SlashCommands[Conversation]" = SlashCommands()


@WORDS.command("help", "", "this list")
async def _help(talk: "Conversation", rest: str) -> None:
    talk.tell(*WORDS.help())
    talk.tell("every other line is said in the room; a JSON-RPC 2.0 object on a line is a call")


@WORDS.command("join", "ROOM", "go to a room, made on first use; @NAME for direct messages")
async def _join(talk: "Conversation", rest: str) -> None:
    await talk.enter(WORDS.needed(rest, "join").removeprefix("#"))


@WORDS.command("who", "[ROOM]", "who is there")
async def _who(talk: "Conversation", rest: str) -> None:
    here = await talk.ask("chat.who", Here, room=WORDS.needed(rest or talk.room, "who"))
    talk.show(shown.here_line(here, talk.me))


@WORDS.command("msg", "NAME TEXT", "say something to one person only")
async def _msg(talk: "Conversation", rest: str) -> None:
    name, _, text = rest.partition(" ")
    WORDS.needed(text.strip(), "msg")
    await talk.post(f"@{name.removeprefix('@')}", text.strip())


@WORDS.command("say", "TEXT", "say it in the room, even if it begins with / or {")
async def _say(talk: "Conversation", rest: str) -> None:
    await talk.say(WORDS.needed(rest, "say"))


@WORDS.command("history", "[COUNT]", "what was said here before")
async def _history(talk: "Conversation", rest: str) -> None:
    if rest and not (rest.isdecimal() and rest.isascii() and len(rest) < 10 and int(rest)):
        raise InvalidArgument(f"type {WORDS['history'].usage}, a number above zero")
    room = WORDS.needed(talk.room, "join")
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


@WORDS.command("rooms", "", "which rooms there are")
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


@WORDS.command("quit", "", "leave")
async def _quit(talk: "Conversation", rest: str) -> None:
    talk.quit()

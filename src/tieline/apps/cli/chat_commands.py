"""What can be typed in a conversation after a slash, one record each; /help comes from them."""

from typing import TYPE_CHECKING

from tieline.errors import InvalidArgument
from tieline.slash import SlashCommands

if TYPE_CHECKING:
    from .conversation import Conversation

COMMANDS: "SlashCommands[Conversation]" = SlashCommands(", // begins a line with a slash")


@COMMANDS.command("help", "", "this list")
async def _help(talk: "Conversation", rest: str) -> None:
    for line in COMMANDS.help():
        talk.tell(line)


@COMMANDS.command("join", "ROOM", "go to another room; @name for direct messages")
async def _join(talk: "Conversation", rest: str) -> None:
    await talk.enter(COMMANDS.needed(rest, "join"))


@COMMANDS.command("who", "", "who is here")
async def _who(talk: "Conversation", rest: str) -> None:
    answer = await talk.ask("chat.who", room=talk.room)
    talk.tell(f"here: {', '.join(answer['here'])}")


@COMMANDS.command("rooms", "", "which rooms there are")
async def _rooms(talk: "Conversation", rest: str) -> None:
    for room in (await talk.ask("chat.rooms"))["rooms"]:
        unread = f", {room['unread']} unread" if room["unread"] else ""
        topic_line = f": {room['topic_line']}" if room.get("topic_line") else ""
        many = f"{room['position']} message{'s' * (room['position'] != 1)}"
        talk.tell(f"{room['name']} ({many}{unread}){topic_line}")


@COMMANDS.command("msg", "NAME TEXT", "say something to one person only")
async def _msg(talk: "Conversation", rest: str) -> None:
    name, _, text = COMMANDS.needed(rest, "msg").partition(" ")
    room = f"@{name.removeprefix('@')}"
    await talk.say(room, COMMANDS.needed(text.strip(), "msg"))
    if room != talk.room:  # there it comes back by itself
        talk.tell(f"to {room[1:]}: {text.strip()}")


@COMMANDS.command("history", "[N]", "the last N messages, 50 when not said")
async def _history(talk: "Conversation", rest: str) -> None:
    from .history import latest

    if rest and not (rest.isascii() and rest.isdigit()):
        raise InvalidArgument("type /history or /history N")
    for message in await latest(talk.client, talk.room, int(rest or 50), talk.timeout):
        talk.show(message)


@COMMANDS.command("topic", "TEXT", "set the room's topic line")
async def _topic(talk: "Conversation", rest: str) -> None:
    await talk.ask("chat.topic", room=talk.room, text=rest)
    talk.tell(f"{talk.room}: {rest}")


@COMMANDS.command("quit", "", "leave; Ctrl-D does too")
async def _quit(talk: "Conversation", rest: str) -> None:
    talk.over = True

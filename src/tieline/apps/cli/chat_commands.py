"""What can be typed in a conversation after a slash, one record each; /help comes from them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tieline.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from .conversation import Conversation

Run = Callable[["Conversation", str], Awaitable[None]]


@dataclass(frozen=True)
class ChatCommand:
    """`/name arguments`: what it does, in words and as a function of the conversation and the rest of the line."""

    name: str
    arguments: str
    about: str
    run: Run

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.arguments}".rstrip()


COMMANDS: dict[str, ChatCommand] = {}


def find(name: str) -> ChatCommand:
    """Raises NotFound, whose sentence says where to look."""
    try:
        return COMMANDS[name]
    except KeyError:
        raise NotFound(f"there is no /{name}; /help lists what there is, // begins a line with a slash") from None


def _command(name: str, arguments: str, about: str) -> Callable[[Run], Run]:
    def register(run: Run) -> Run:
        COMMANDS[name] = ChatCommand(name, arguments, about, run)
        return run

    return register


def _needed(text: str, command: str) -> str:
    if not text:
        raise InvalidArgument(f"type {COMMANDS[command].usage}")
    return text


@_command("help", "", "this list")
async def _help(talk: "Conversation", rest: str) -> None:
    size = max(len(command.usage) for command in COMMANDS.values())
    for command in COMMANDS.values():
        talk.tell(f"{command.usage:<{size}}  {command.about}")


@_command("join", "ROOM", "go to another room; @name for direct messages")
async def _join(talk: "Conversation", rest: str) -> None:
    await talk.enter(_needed(rest, "join"))


@_command("who", "", "who is here")
async def _who(talk: "Conversation", rest: str) -> None:
    answer = await talk.ask("chat.who", room=talk.room)
    talk.tell(f"here: {', '.join(answer['here'])}")


@_command("rooms", "", "which rooms there are")
async def _rooms(talk: "Conversation", rest: str) -> None:
    for room in (await talk.ask("chat.rooms"))["rooms"]:
        unread = f", {room['unread']} unread" if room["unread"] else ""
        topic_line = f": {room['topic_line']}" if room.get("topic_line") else ""
        talk.tell(f"{room['name']} ({room['position']} messages{unread}){topic_line}")


@_command("msg", "NAME TEXT", "say something to one person only")
async def _msg(talk: "Conversation", rest: str) -> None:
    name, _, text = _needed(rest, "msg").partition(" ")
    room = f"@{name.removeprefix('@')}"
    await talk.say(room, _needed(text.strip(), "msg"))
    if room != talk.room:  # there it comes back by itself
        talk.tell(f"to {room[1:]}: {text.strip()}")


@_command("history", "[N]", "the last N messages, 50 when not said")
async def _history(talk: "Conversation", rest: str) -> None:
    from .history import latest

    if rest and not (rest.isascii() and rest.isdigit()):
        raise InvalidArgument("type /history or /history N")
    for message in await latest(talk.client, talk.room, int(rest or 50), talk.timeout):
        talk.show(message)


@_command("topic", "TEXT", "set the room's topic line")
async def _topic(talk: "Conversation", rest: str) -> None:
    await talk.ask("chat.topic", room=talk.room, text=rest)
    talk.tell(f"{talk.room}: {rest}")


@_command("quit", "", "leave; Ctrl-D does too")
async def _quit(talk: "Conversation", rest: str) -> None:
    talk.over = True

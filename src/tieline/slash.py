"""Commands that are typed after a slash, in the middle of a talk: one record each, and /help is made of them.

COMMANDS: SlashCommands[Talk] = SlashCommands()
@COMMANDS.command("join", "ROOM", "go to another room")
async def _join(talk: Talk, rest: str) -> None: ...

await COMMANDS.run(talk, "join lobby")
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tieline.errors import InvalidArgument, NotFound

Talk = TypeVar("Talk")
_SHOWN = 40
"Characters of a name that is none, as it is told back."


@dataclass(frozen=True)
class SlashCommand(Generic[Talk]):
    """`/name arguments`: what it does, in words and as a function of the talk and the rest of the line."""

    name: str
    arguments: str
    about: str
    run: Callable[[Talk, str], Awaitable[None]]

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.arguments}".rstrip()


class SlashCommands(dict[str, SlashCommand[Talk]]):
    """By name, in the order of /help. `hint` is said besides to who types one that is not there."""

    def __init__(self, hint: str = "") -> None:
        super().__init__()
        self._hint = hint

    def command(
        self, name: str, arguments: str, about: str
    ) -> Callable[[Callable[[Talk, str], Awaitable[None]]], Callable[[Talk, str], Awaitable[None]]]:
        """Decorator: a function that is run for `/name`."""

        def register(run: Callable[[Talk, str], Awaitable[None]]) -> Callable[[Talk, str], Awaitable[None]]:
            self[name] = SlashCommand(name, arguments, about, run)
            return run

        return register

    async def run(self, talk: Talk, line: str) -> None:
        """Do what a line says, its slash taken away. Raises NotFound, and what the command raises."""
        name, _, rest = line.strip().partition(" ")
        command = self.get(name.lower())
        if command is None:
            raise NotFound(f"there is no /{name[:_SHOWN]}; /help lists what there is{self._hint}")
        await command.run(talk, rest.strip())

    def needed(self, rest: str, name: str) -> str:
        """What was typed behind a command, if anything was. Raises InvalidArgument that says how to type it."""
        if not rest:
            raise InvalidArgument(f"type {self[name].usage}")
        return rest

    def help(self) -> list[str]:
        """A line for each."""
        width = max(len(command.usage) for command in self.values())
        return [f"{command.usage:<{width}}  {command.about}" for command in self.values()]

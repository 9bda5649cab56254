"""What is typed after a slash."""

import pytest

from tieline.errors import InvalidArgument, NotFound
from tieline.slash import SlashCommands


@pytest.fixture
def commands() -> SlashCommands[list[str]]:
    commands: SlashCommands[list[str]] = SlashCommands("; // is a slash")

    @commands.command("say", "TEXT", "say it")
    async def _say(talk: list[str], rest: str) -> None:
        talk.append(commands.needed(rest, "say"))

    @commands.command("quit", "", "leave")
    async def _quit(talk: list[str], rest: str) -> None:
        talk.append("bye")

    return commands


async def test_a_command_gets_the_rest_of_its_line(commands: SlashCommands[list[str]]) -> None:
    talk: list[str] = []
    await commands.run(talk, " SAY  two  words ")
    await commands.run(talk, "quit")
    assert talk == ["two  words", "bye"]


async def test_one_that_is_not_there_or_lacks_something_is_told_how_to_go_on(
    commands: SlashCommands[list[str]],
) -> None:
    with pytest.raises(NotFound, match=r"^there is no /x{40}; /help lists what there is; // is a slash$"):
        await commands.run([], "x" * 100)
    with pytest.raises(InvalidArgument, match="type /say TEXT"):
        await commands.run([], "say")


def test_help_has_a_line_for_each(commands: SlashCommands[list[str]]) -> None:
    assert commands.help() == ["/say TEXT  say it", "/quit      leave"]

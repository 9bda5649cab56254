"""Two people in different rooms, one with nc and one with `tieline chat`, and a word between them."""

import asyncio
import re

import pytest
from tests.ports import free_port

from .conftest import Machines
from .machines import Machine, ServerProcess
from .test_lines_door import Terminal

pytestmark = pytest.mark.requires("nc")
PASSWORD = "correct horse"


async def join(owner: Machine, machine: Machine, name: str) -> None:
    await machine.out("join", (await owner.out("invite", name)).strip())


def bare(seen: str) -> list[str]:
    """The lines without their times."""
    return re.sub(r"^\d\d:\d\d ", "", seen, flags=re.MULTILINE).splitlines()


async def test_a_word_finds_the_other_wherever_they_are(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ada, bob = machines("ada"), machines("bob")
    await asyncio.gather(join(owner, ada, "ada"), join(owner, bob, "bob"))
    await ada.out("password", stdin=f"{PASSWORD}\n")
    nc = await asyncio.create_subprocess_exec(
        "nc", "127.0.0.1", str(server.port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        at_nc, at_chat = Terminal(nc), Terminal(await bob.start("chat", "builds"))
        at_nc.types("ada", PASSWORD)
        await at_nc.sees("* here: ada (you)\n")
        await at_chat.sees("* nobody else is here\n")
        await at_chat_follows(at_chat)

        at_nc.types("/msg bob psst", "/msg bob are you there?")
        assert bare(await at_chat.sees("there?\n")) == [
            "ada (to you): psst",
            "* only you can read that; answer with /msg ada …",
            "ada (to you): are you there?",
        ]
        at_chat.types("/msg ada I am")
        assert bare(await at_nc.sees("answer with /msg bob …\n"))[0] == "bob (to you): I am"
        await bob.out("say", "@ada", "from a script")
        assert bare(await at_nc.sees("script\n")) == ["bob (to you): from a script"]

        at_chat.types("/join @ada")
        await at_chat.sees("* you are in @ada")
        await at_chat.sees("from a script\n")
        at_nc.types("/msg bob now here", "/msg bob and here", "/quit")
        assert bare(await at_chat.sees("and here\n")) == ["ada: now here", "ada: and here"]
        at_chat.types_no_more()
        assert "now here" not in await at_chat.ends()
        assert '"unread": 0' in await bob.out("rooms", "--json")
    finally:
        if nc.returncode is None:
            nc.kill()
        await nc.communicate()


async def at_chat_follows(at_chat: Terminal) -> None:
    """Whatever follows on coming in is done when a command is answered that was typed later."""
    at_chat.types("/who", "/who")
    await at_chat.sees("* here: bob\n* here: bob\n")


async def test_a_word_that_came_while_the_link_was_lost_is_told_of(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    bob = machines("bob")
    await join(owner, bob, "bob")
    at_chat = Terminal(await bob.start("chat"))
    await at_chat_follows(at_chat)
    await server.end()
    port, server.port = server.port, free_port()  # where bob does not look for it
    await server.start()
    await owner.out("say", "@bob", "missed")
    await server.end()
    server.port = port
    await server.start()
    await at_chat.sees("* back again\n")
    answer = (await at_chat.sees("; /join @")) + (await at_chat.sees("\n"))
    assert "* 1 unread from " in answer
    at_chat.types(answer.rpartition("; ")[2].strip())
    await at_chat.sees(": missed\n")

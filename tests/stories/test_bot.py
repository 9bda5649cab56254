"""The bot of the howto answers each mention once, though it, its double and the server are killed in between."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import tieline
from tieline import profiles

from .conftest import Machines, Servers
from .machines import DEADLINE, Machine

BOT = Path(__file__).parents[2] / "docs" / "examples" / "bot.py"
ANSWER = "at your service"

Bot = asyncio.subprocess.Process
StartBot = Callable[[Machine], Awaitable[Bot]]


@pytest.fixture
async def start_bot() -> AsyncIterator[StartBot]:
    started: list[Bot] = []

    async def start(machine: Machine) -> Bot:
        arguments = [sys.executable, str(BOT), profiles.DEFAULT_NAME, "lobby"]
        bot = await asyncio.create_subprocess_exec(*arguments, env=machine.environment, stdout=asyncio.subprocess.PIPE)
        started.append(bot)
        assert bot.stdout is not None
        async with asyncio.timeout(DEADLINE):
            assert await bot.stdout.readline() == b"bot reads lobby\n"
        return bot

    yield start
    for bot in started:
        if bot.returncode is None:
            await kill(bot)


async def kill(bot: Bot) -> None:
    bot.kill()
    await bot.communicate()


class Person:
    """Mentions the bot, and looks at what is answered. Comes back when the server does."""

    def __init__(self, peer: tieline.Peer) -> None:
        self._peer = peer
        self.asked: list[int] = []
        "Positions of what mentioned it."

    async def asks(self) -> None:
        text, id = "@bot, are you there?", tieline.message_id()
        posted = await self._peer.call("chat.post", room="lobby", text=text, id=id, retry=True)
        self.asked.append(posted["position"])

    async def hears(self) -> list[str]:
        """The ids of all answers, once there are as many as questions."""
        async with asyncio.timeout(DEADLINE):
            while True:
                page = await self._peer.call("chat.history", room="lobby", after=0, limit=500, retry=True)
                ids = [each["id"] for each in page["messages"] if each["text"].startswith(ANSWER)]
                if len(ids) >= len(self.asked):
                    return ids
                await asyncio.sleep(0.02)


async def test_each_mention_is_answered_once(
    servers: Servers, owner: Machine, machines: Machines, start_bot: StartBot
) -> None:
    server, machine = servers(), machines("bot")
    await server.start()
    await machine.out("join", (await owner.out("invite", "bot")).strip())
    async with tieline.connect(server.unix) as peer:
        person = Person(peer)
        bot = await start_bot(machine)
        await person.asks()
        await person.hears()
        await kill(bot)
        await person.asks()  # while nobody is there
        bots = [await start_bot(machine), await start_bot(machine)]  # as if one had not noted what it answered
        await person.asks()
        await person.hears()
        await server.kill()
        await server.start()
        await person.asks()
        await person.hears()
        for each in bots:
            await kill(each)
        await start_bot(machine)
        await person.asks()
        assert await person.hears() == [f"to-{position}" for position in person.asked]

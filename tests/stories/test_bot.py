"""The bot of the howto answers each mention once, though it, its double and the server are killed in between."""

import asyncio
import sys
from pathlib import Path

import tieline

from .conftest import Servers
from .machines import DEADLINE, ServerProcess

BOT = Path(__file__).parents[2] / "docs" / "examples" / "chat_bot.py"


class Person:
    """A guest who mentions the bot and looks at what is answered. Comes back when the server does."""

    def __init__(self, peer: tieline.Peer) -> None:
        self._peer = peer

    async def mention(self, bot: str) -> int:
        posted = await self._peer.call(
            "chat.post", room="lobby", text=f"@{bot}, are you there?", id=tieline.message_id(), retry=True
        )
        position: int = posted["position"]
        return position

    async def hears(self, beginning: str, times: int) -> list[str]:
        """The ids of all messages that begin so, once there are so many."""
        async with asyncio.timeout(DEADLINE):
            while True:
                page = await self._peer.call("chat.history", room="lobby", after=0, limit=500, retry=True)
                ids = [each["id"] for each in page["messages"] if each["text"].startswith(beginning)]
                if len(ids) >= times:
                    return ids
                await asyncio.sleep(0.02)


async def start_bot(server: ServerProcess) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, str(BOT), server.unix)


async def end(bot: asyncio.subprocess.Process) -> None:
    bot.kill()
    await bot.wait()


async def test_each_mention_is_answered_once(servers: Servers) -> None:
    server = servers("--guests")
    await server.start()
    async with tieline.connect(server.unix) as owner, tieline.connect(server.tcp) as peer:
        me, person = owner.identity.account, Person(peer)
        bot = await start_bot(server)
        mentions = [await person.mention(me)]
        await person.hears("yes", 1)
        await end(bot)
        mentions.append(await person.mention(me))  # while nobody is there
        bots = [await start_bot(server), await start_bot(server)]  # as if one had not noted what it answered
        await person.hears(f"{me} is here", 3)
        mentions.append(await person.mention(me))
        await person.hears("yes", 3)
        await server.kill()
        await server.start()
        mentions.append(await person.mention(me))
        await person.hears("yes", 4)
        for bot in bots:
            await end(bot)
        bot = await start_bot(server)
        mentions.append(await person.mention(me))
        assert await person.hears("yes", 5) == [f"answer-{position}" for position in mentions]
        await end(bot)

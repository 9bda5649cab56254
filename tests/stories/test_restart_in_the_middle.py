"""A server ends in the middle of what it was doing for somebody, and comes back."""

import asyncio
import signal

import pytest
from tests.half_login import begin_login

import tieline

from .conftest import Servers
from .machines import DEADLINE

POSTS = 1000
ENDS = pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "drained"])


@ENDS
@pytest.mark.usefixtures("hurried")
async def test_who_was_catching_up_with_a_room_goes_on_where_it_was(servers: Servers, number: int) -> None:
    server = servers()
    await server.start()
    async with tieline.connect(server.unix) as poster, tieline.connect(server.unix) as reader:
        calls = [poster.call("chat.post", room="old", text="x" * 6000, id=f"p{each}") for each in range(POSTS)]
        await asyncio.gather(*calls)
        followed = reader.subscribe("room/old", after=0)
        for position in range(1, POSTS + 1):
            if position in (100, POSTS // 2):  # most of it is neither here nor on its way
                await server.end(number)
                await server.start()
            async with asyncio.timeout(DEADLINE):
                event = await anext(followed)
            assert (event.position, event.value["id"]) == (position, f"p{position - 1}")


@ENDS
async def test_who_was_logging_in_is_cut_and_holds_up_nobody(servers: Servers, number: int) -> None:
    server = servers()
    await server.start()
    reader, writer = await begin_login(server.port)
    server.tell(number)
    async with asyncio.timeout(9):  # what is waited for is waited for 10 s
        assert await server.ended() == (0 if number == signal.SIGTERM else -number)
    async with asyncio.timeout(DEADLINE):
        try:
            while await reader.read(1 << 16):
                pass
        except ConnectionError:
            pass
    writer.close()
    await server.start()
    async with tieline.connect(server.unix) as client:
        assert await client.call("echo.upper", text="in") == "IN"

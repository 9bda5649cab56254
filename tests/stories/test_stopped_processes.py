"""Processes that stand still for a while, as a laptop that sleeps: they go on, and nothing is lost or doubled."""

import asyncio
import signal
from contextlib import AsyncExitStack
from itertools import count

import pytest

import tieline
from tieline.limits import Limits

from .conftest import Machines
from .machines import DEADLINE, Machine, ServerProcess, login

WRITERS = 8
IMPATIENT = Limits(ping=0.3, opening=1.0)
"A peer that says nothing for 0.6 s is taken for lost; a server that answers nothing for 2 s is not there."


class Writer:
    """Posts one thing after another, and notes what was acknowledged at which position."""

    def __init__(self, name: str, client: tieline.Client) -> None:
        self.acknowledged: dict[int, str] = {}
        self._name = name
        self._client = client

    async def write(self, stop: asyncio.Event) -> None:
        for number in count():
            if stop.is_set():
                return
            id = f"{self._name}-{number}"
            posted = await self._client.call(
                "chat.post", room="busy", text=id * 20, id=id, timeout=DEADLINE, retry=True
            )
            assert posted["position"] not in self.acknowledged
            self.acknowledged[posted["position"]] = id
            await asyncio.sleep(0.001)


async def more(writers: list[Writer], posts: int) -> None:
    """Wait until each of them has had so many posts more acknowledged."""
    enough = [len(writer.acknowledged) + posts for writer in writers]
    async with asyncio.timeout(DEADLINE):
        while any(len(writer.acknowledged) < least for writer, least in zip(writers, enough, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def kept(client: tieline.Client) -> list[str]:
    ids: list[str] = []
    while page := (await client.call("chat.history", room="busy", after=len(ids), limit=500))["messages"]:
        ids += [message["id"] for message in page]
    return ids


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("seconds", [0.3, 3.0], ids=["for a moment", "until all take it for lost"])
async def test_a_server_that_stands_still_under_eight_writers(
    server: ServerProcess, owner: Machine, machines: Machines, seconds: float
) -> None:
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())
    ways = [{"address": server.unix}, login(ada.profile())]
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(tieline.connect(**ways[number % 2], limits=IMPATIENT))
            for number in range(WRITERS + 1)
        ]
        followed = clients[0].subscribe("room/busy", after=0)
        await followed.open()
        writers = [Writer(f"w{number}", client) for number, client in enumerate(clients[1:])]
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as writing:
            for writer in writers:
                writing.create_task(writer.write(stop))
            await more(writers, 20)
            server.tell(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            server.tell(signal.SIGCONT)
            await more(writers, 20)
            stop.set()
        acknowledged = {position: id for writer in writers for position, id in writer.acknowledged.items()}
        stored = await kept(clients[1])
        assert len(stored) == len({*stored})
        assert acknowledged == dict(enumerate(stored, 1))
        for position in range(1, len(stored) + 1):
            async with asyncio.timeout(DEADLINE):
                event = await anext(followed)
            assert (event.position, event.value["id"]) == (position, stored[position - 1])
    assert await server.end() == 0
    assert "Traceback" not in server.said

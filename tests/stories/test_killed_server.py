"""Nothing is lost: the server ends again and again under eight writers, gently or not. What it acknowledged is kept."""

import asyncio
import signal
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing
from typing import Any

import pytest

import tieline
from tieline.store.schema import POSITION_BITS

from .conftest import Machines, Servers
from .machines import DEADLINE, LONG, Machine, ServerProcess, login

KILLS = 50 if LONG else 5
WRITERS = 8
PILE = 16
"Posts a writer has on their way at once."
HEARTBEATS = 6
"Acknowledged posts of every writer between two kills."


class Writer:
    """Posts without end, several at a time, and notes which were acknowledged, and where."""

    def __init__(self, name: str, client: tieline.Client) -> None:
        self.name = name
        self.client = client
        self.acknowledged: dict[str, int] = {}
        self._count = 0
        self._stopped = False
        self._room = asyncio.Semaphore(PILE)
        self._progress = asyncio.Condition()

    async def write(self) -> None:
        async with asyncio.TaskGroup() as posts:
            while not self._stopped:
                await self._room.acquire()
                self._count += 1
                posts.create_task(self._post(f"{self.name}-{self._count:06}"))

    async def _post(self, id: str) -> None:
        answer = await self.client.call("chat.post", room="lobby", text=id, id=id, timeout=DEADLINE, retry=True)
        self._room.release()
        async with self._progress:
            self.acknowledged[id] = answer["position"]
            self._progress.notify_all()

    async def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        goal = len(self.acknowledged) + count
        async with self._progress:
            await self._progress.wait_for(lambda: len(self.acknowledged) >= goal)

    def stop(self) -> None:
        self._stopped = True


class Reader:
    """Follows the room from its beginning, over every restart."""

    def __init__(self, client: tieline.Client) -> None:
        self.events: list[tuple[int, str]] = []
        self._subscription = client.subscribe("room/lobby", after=0)

    async def read_to(self, ids: set[str]) -> None:
        """Until all of these were seen."""
        missing = ids - {id for _, id in self.events}
        while missing:
            event = await anext(self._subscription)
            self.events.append((event.position, event.value["id"]))
            missing.discard(event.value["id"])


async def clients(stack: AsyncExitStack, server: ServerProcess, owner: Machine, machines: Machines) -> Any:
    """Half of the writers come over TLS with a device key, half over the Unix socket."""
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())
    for number in range(WRITERS):
        how = login(ada.profile()) if number % 2 else {"address": server.unix}
        yield number, await stack.enter_async_context(tieline.connect(**how))


def stored(server: ServerProcess) -> list[tuple[int, str]]:
    """What is in the database, read past the server."""
    with closing(sqlite3.connect(server.data / "tieline.db")) as db:
        (room,) = db.execute("SELECT number FROM rooms WHERE name = 'lobby'").fetchone()
        first = room << POSITION_BITS
        rows = db.execute("SELECT key - ?, id FROM messages WHERE key >= ? ORDER BY key", (first, first)).fetchall()
    return [(position, id) for position, id in rows if position >> POSITION_BITS == 0]


@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "drained"])
async def test_what_was_acknowledged_is_there_once_however_often_the_server_ends(
    ends_by: signal.Signals, servers: Servers, owner: Machine, machines: Machines
) -> None:
    server = servers()
    await server.start()
    async with AsyncExitStack() as stack:
        writers = [Writer(f"w{number}", client) async for number, client in clients(stack, server, owner, machines)]
        near, far = [
            Reader(await stack.enter_async_context(tieline.connect(**how)))
            for how in ({"address": server.unix}, login(machines("ada").profile()))
        ]
        writing = asyncio.gather(*(writer.write() for writer in writers))
        for _ in range(KILLS):
            await asyncio.gather(*(writer.more(HEARTBEATS) for writer in writers))
            assert await server.end(ends_by) == (0 if ends_by is signal.SIGTERM else -ends_by)
            await server.start()
        for writer in writers:
            writer.stop()
        await writing
        acknowledged = {id: position for writer in writers for id, position in writer.acknowledged.items()}
        for reader in (near, far):
            await reader.read_to(set(acknowledged))
    assert await server.end() == 0
    kept = stored(server)
    assert [position for position, _ in kept] == list(range(1, len(kept) + 1))
    assert not [id for id, times in Counter(id for _, id in kept).items() if times > 1]
    assert acknowledged == {id: position for position, id in kept}
    for writer in writers:
        assert sorted(writer.acknowledged) == sorted(writer.acknowledged, key=writer.acknowledged.__getitem__), (
            "in order"
        )
    assert near.events == kept
    assert far.events == kept

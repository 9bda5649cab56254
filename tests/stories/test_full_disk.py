"""The disk of the data folder fills up under people who talk, put files and run commands, and then has room again."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from tests.small_disks import needs_a_namespace

import tieline
from tieline import commands

from .conftest import Servers
from .machines import DEADLINE, ServerProcess

SCRIPT = str(Path(__file__).with_name("small_disk_server.py"))
SIZE = "64m"


class Disk:
    """The server's data folder as it sees it, from outside of its namespace; it can be looked at when that is gone."""

    def __init__(self, server: ServerProcess) -> None:
        self._folder = os.open(f"/proc/{server.pid}/root{server.data}", os.O_RDONLY)
        self.path = Path(f"/proc/self/fd/{self._folder}")

    def fill(self) -> None:
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            for size in (1 << 20, 4096):
                with suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass

    def make_room(self) -> None:
        (self.path / "ballast").unlink()

    def close(self) -> None:
        os.close(self._folder)


class Person:
    """Does one thing again and again, and counts what was acknowledged and what was refused."""

    def __init__(self, work: Callable[[int], Awaitable[None]]) -> None:
        self._work = work
        self.done: list[int] = []
        self.refused: list[str] = []
        self._task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        for number in count():
            try:
                await self._work(number)
            except tieline.Unavailable as error:
                self.refused.append(str(error))
                await asyncio.sleep(0.01)
            else:
                self.done.append(number)

    async def more(self, done: int = 0, refused: int = 0) -> None:
        enough = len(self.done) + done, len(self.refused) + refused
        async with asyncio.timeout(DEADLINE):
            while len(self.done) < enough[0] or len(self.refused) < enough[1]:
                await asyncio.wait({self._task}, timeout=0.02)
                if self._task.done():
                    self._task.result()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def server(servers: Servers) -> ServerProcess:
    needs_a_namespace()
    made = servers("--allow-shell")
    await made.start(prefix=(SCRIPT, str(made.data), SIZE))
    return made


@pytest.fixture
async def disk(server: ServerProcess) -> AsyncIterator[Disk]:
    opened = Disk(server)
    yield opened
    opened.close()


@pytest.mark.requires("mount")
async def test_nothing_acknowledged_is_lost_and_all_goes_on_when_there_is_room(
    server: ServerProcess, disk: Disk, tmp_path: Path
) -> None:
    def content(number: int) -> bytes:
        return f"{number} ".encode() * 50_000

    async with tieline.connect(f"unix:{disk.path}/tieline.sock") as peer:

        async def post(number: int) -> None:
            await peer.call("chat.post", room="lobby", text="x" * 3000, id=f"post-{number}", timeout=DEADLINE)

        async def put(number: int) -> None:
            (tmp_path / "x").write_bytes(content(number))
            done = await peer.files.put(tmp_path / "x", f"/x{number % 4}/{number}")
            if done.failed:
                raise tieline.Unavailable(done.failed[0].reason)

        async def run(number: int) -> None:
            assert (await commands.run(peer, ["echo", str(number)])).stdout == f"{number}\n".encode()

        people = posting, putting, running = Person(post), Person(put), Person(run)
        await asyncio.gather(posting.more(200), putting.more(5), running.more(5))
        disk.fill()
        await asyncio.gather(posting.more(refused=20), putting.more(refused=2), running.more(10))
        disk.make_room()
        await asyncio.gather(posting.more(200), putting.more(5), running.more(5))
        await asyncio.gather(*(person.stop() for person in people))
        assert all("disk is full" in reason for person in people for reason in person.refused)

        kept = [message["id"] async for message in messages(peer)]
        assert len(kept) == len({*kept})
        assert {f"post-{number}" for number in posting.done} <= {*kept}
        for number in putting.done:
            assert (disk.path / "files" / f"x{number % 4}" / str(number)).read_bytes() == content(number)
        await audited(peer, {str(number) for number in running.done})
    assert await server.end() == 0
    assert "Traceback" not in server.said
    database = sqlite3.connect(disk.path / "tieline.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


async def messages(peer: tieline.Peer) -> AsyncIterator[dict[str, str]]:
    after = 0
    while page := (await peer.call("chat.history", room="lobby", after=after, limit=500))["messages"]:
        for message in page:
            yield message
        after = page[-1]["position"]


async def audited(peer: tieline.Peer, wanted: set[str]) -> None:
    """Wait until the audit knows the end of all of these: what it could not write is written a little later."""
    async with asyncio.timeout(DEADLINE):
        while True:
            entries = await peer.call("audit.list", limit=1000)
            if wanted <= {entry["begun"]["argv"][-1] for entry in entries if entry["outcome"] == "exit 0"}:
                return
            await asyncio.sleep(0.05)

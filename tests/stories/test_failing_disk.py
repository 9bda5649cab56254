"""The disk of the data folder takes no write at all, as one that breaks does, and then takes them again."""

import asyncio
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

import tieline

from .conftest import Servers
from .machines import DEADLINE, ServerProcess


@contextmanager
def no_write_to_files(server: ServerProcess) -> Iterator[None]:
    """Every write of the server's to a file fails meanwhile, with an error that is not that of a full disk."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


class Author:
    """Posts as fast as it is answered, and counts what was acknowledged and what was refused."""

    def __init__(self, peer: tieline.Peer, name: str) -> None:
        self._peer, self._name = peer, name
        self.stored: dict[str, int] = {}
        "Positions by id."
        self.refused: list[str] = []

    async def post(self) -> None:
        for number in count():
            message = f"{self._name}-{number}"
            try:
                posted = await self._peer.call("chat.post", room="lobby", text="x" * 500, id=message, timeout=DEADLINE)
            except tieline.Unavailable as error:
                self.refused.append(str(error))
                await asyncio.sleep(0.01)
            else:
                self.stored[message] = posted["position"]


async def until(condition: Callable[[], bool], work: set[asyncio.Task[None]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            over, _ = await asyncio.wait(work, timeout=0.02)
            for task in over:
                task.result()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux, to set the limits of another process")
async def test_what_could_not_be_written_is_refused_and_nothing_acknowledged_is_lost(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(bytes(300_000))
    server = servers()
    await server.start()
    async with tieline.connect(server.unix) as peer:
        authors = [Author(peer, f"author{number}") for number in range(8)]
        work = {asyncio.create_task(author.post()) for author in authors}
        await until(lambda: all(len(author.stored) > 50 for author in authors), work)
        with no_write_to_files(server):
            await until(lambda: all(len(author.refused) > 5 for author in authors), work)
            assert (await peer.call("echo.upper", text="still here")) == "STILL HERE"
            put = await peer.files.put(tmp_path / "x", "/lab/", inside=True)
            assert "the server's disk failed" in put.failed[0].reason
            assert not (server.data / "files" / "lab").exists()
        enough = {author: len(author.stored) + 50 for author in authors}
        await until(lambda: all(len(author.stored) > many for author, many in enough.items()), work)
        assert not (await peer.files.put(tmp_path / "x", "/lab/", inside=True)).failed
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    assert all("cannot write to its disk" in reason for author in authors for reason in author.refused)
    await server.kill()
    assert server.said.count("the database could not be written") == 1
    kept = stored(server.data / "tieline.db")
    for author in authors:
        assert {name: kept.get(name) for name in author.stored} == author.stored


def stored(database: Path) -> dict[str, int]:
    """Positions by id, of a database that is whole; they are gapless."""
    db = sqlite3.connect(database)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = [(key & (1 << 40) - 1, name) for key, name in db.execute("SELECT key, id FROM messages ORDER BY key")]
    db.close()
    assert [position for position, _ in rows] == list(range(1, len(rows) + 1))
    return {name: position for position, name in rows}

"""What goes wrong beneath: full disks, work that fails, and the process killed at any moment."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.small_disks import small_disk

from tieline.errors import NotFound, Unavailable
from tieline.store.log import MessageLog
from tieline.store.sqlite import SqliteStore

POSTER = """
import asyncio, sys
from tieline.store.sqlite import SqliteStore

async def author(store, name, start):
    n = start
    while True:
        posted = await store.post("lobby", name, "text " * 20, f"{name}-{n}", 0)
        print(name, n, posted.position, flush=True)
        n += 1

async def main():
    async with SqliteStore(sys.argv[1]) as store:
        await asyncio.gather(*(author(store, f"author{i}", int(sys.argv[2])) for i in range(20)))

asyncio.run(main())
"""


def run_and_kill(folder: Path, start: int, lines: int) -> list[tuple[str, int, int]]:
    """Let twenty authors post; SIGKILL after so many acknowledgements; return all that were acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", POSTER, folder, str(start)], stdout=subprocess.PIPE, text=True
    ) as poster:
        assert poster.stdout is not None
        said = [poster.stdout.readline() for _ in range(lines)]
        poster.kill()
        said += poster.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(name, int(number), int(position)) for name, number, position in whole]


async def test_nothing_acknowledged_is_lost_by_kill_9_and_no_gap_is_left(tmp_path: Path) -> None:
    acknowledged: dict[tuple[str, str], int] = {}
    dice = random.Random(7)
    for turn in range(10):
        for name, number, position in run_and_kill(tmp_path, turn * 10**6, dice.randrange(1, 400)):
            acknowledged[name, f"{name}-{number}"] = position
    async with SqliteStore(tmp_path) as store:
        head = await store.head("lobby")
        stored: dict[tuple[str, str], int] = {}
        while len(stored) < head:
            page = await store.history("lobby", after=len(stored), limit=1000)
            assert [m.position for m in page.messages] == list(
                range(len(stored) + 1, len(stored) + 1 + len(page.messages))
            )
            stored |= {(m.by, m.id): m.position for m in page.messages}
        assert acknowledged.items() <= stored.items()
        # A client that was not answered tries again: what was stored is known, what was not is new.
        name, id = next(iter(stored))
        assert (await store.post("lobby", name, "text " * 20, id, 0)).duplicate
    with sqlite3.connect(tmp_path / "tieline.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


async def fill(store: SqliteStore) -> int:
    """Post until the disk takes no more. Returns how many it took, which must be told by the errors alone."""
    stored = 0
    for turn in range(1000):
        answers = await asyncio.gather(
            *(store.post("lobby", "ada", "x" * 1000, f"{turn}-{n}", 0) for n in range(50)), return_exceptions=True
        )
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        stored += len(answers) - len(failed)
        if failed:
            assert all(isinstance(error, Unavailable) and "disk" in str(error) for error in failed)
            return stored
    raise AssertionError("the disk never became full")


async def test_a_full_database_refuses_whole_batches_and_goes_on_when_there_is_room(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    published: list[int] = []
    store.on_committed = lambda added: published.extend(post.outcome.position for post in added["lobby"])
    await store._write(lambda db, log: db.execute("PRAGMA max_page_count = 500").fetchone())
    stored = await fill(store)
    assert await store.head("lobby") == stored
    for turn in range(3):
        with pytest.raises(Unavailable):
            await store.post("lobby", "ada", "x" * 100_000, f"again-{turn}", 0)
    assert caplog.text.count("disk of the data folder is full") == 1, "once, and not for every batch"
    with pytest.raises(Unavailable, match="disk is full"):
        await store.post("lobby", "ada", "x" * 100_000, "long", 0)
    await store._write(lambda db, log: db.execute("PRAGMA max_page_count = 100000").fetchone())
    assert (await store.post("lobby", "ada", "room again", "after", 0)).position == stored + 1
    assert published == list(range(1, stored + 2))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "2m") as place:
        yield place


async def test_a_disk_that_is_really_full_loses_nothing_that_was_acknowledged(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    async with SqliteStore(disk / "data") as store:
        stored = await fill(store)
        with pytest.raises(Unavailable):
            await store.set_topic_line("lobby", "x" * 100_000)
        assert len((await store.history("lobby", after=0, limit=1000)).messages) > 0, "reading goes on"
        ballast.unlink()
        assert (await store.post("lobby", "ada", "room again", "after", 0)).position == stored + 1
    async with SqliteStore(disk / "data") as store:
        assert await store.head("lobby") == stored + 1


async def test_work_that_fails_is_undone_and_its_neighbours_are_not(store: SqliteStore) -> None:
    def refused(db: sqlite3.Connection, log: MessageLog) -> None:
        db.execute("INSERT INTO secrets VALUES ('half', x'00')")
        raise NotFound("no such thing")

    before = store.post("lobby", "ada", "before", "1", 0)
    bad = store._write(refused)
    wrong = store._write(lambda db, log: db.execute("SELECT * FROM no_such_table"))
    after = store.post("lobby", "ada", "after", "2", 0)
    with pytest.raises(NotFound):
        await bad
    with pytest.raises(sqlite3.OperationalError):
        await wrong
    assert ((await before).position, (await after).position) == (1, 2)
    assert await store.keep("half", b"whole") == b"whole"


async def test_a_publisher_that_fails_does_not_fail_the_posts(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    store.on_committed = broken
    assert (await store.post("lobby", "ada", "hi", "1", 0)).position == 1
    assert "publishing what was committed failed" in caplog.text

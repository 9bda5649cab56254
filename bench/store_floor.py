"""How near the store comes to a bare SQLite loop that commits the same batches of the same rows, durably.

Run with `python bench/store_floor.py [seconds]`; prints rows per second and the ratio for each batch size. Ids that
begin with the time are what our clients send; random ones (uuid4) show what an index in random order costs.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tieline.store.sqlite import SqliteStore

TEXT = "a message of the usual length, of some forty characters"
Ids = Callable[[int], str]


def ordered(number: int) -> str:
    return f"{number:012x}-4f1d2c"


def random(_: int) -> str:
    return uuid.uuid4().hex


def bare(folder: Path, batch: int, seconds: float, ids: Ids) -> float:
    """executemany and commit, one thread, nothing else: rows per second."""
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE messages (key INTEGER PRIMARY KEY, at INTEGER, author TEXT, id TEXT, text TEXT)")
    db.execute("CREATE UNIQUE INDEX message_ids ON messages (author, id)")
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        rows = [(done + i, 1_700_000_000_000, "ada", ids(done + i), TEXT) for i in range(batch)]
        db.execute("BEGIN")
        db.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        done += batch
    rate = done / (time.perf_counter() - start)
    db.close()
    return rate


async def ours(folder: Path, batch: int, seconds: float, ids: Ids, depth: int) -> float:
    """The store, with `depth` batches on their way at once (1: each waits for the one before, like the bare loop)."""
    async with SqliteStore(folder / "ours") as store:
        store.on_committed = lambda _: None
        await store.post("lobby", "ada", TEXT, "first", 0)
        start = time.perf_counter()
        done = 0

        async def author() -> None:
            nonlocal done
            while time.perf_counter() - start < seconds:
                first, done = done, done + batch
                for post in [
                    store.post("lobby", "ada", TEXT, ids(i), 1_700_000_000_000) for i in range(first, first + batch)
                ]:
                    await post

        await asyncio.gather(*(author() for _ in range(depth)))
        return done / (time.perf_counter() - start)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print("ids      batch   bare rows/s   store rows/s   ratio   store, 2 deep   ratio")
    for ids in (ordered, random):
        for batch in (1, 16, 64, 512, 1024):
            with tempfile.TemporaryDirectory(prefix="store-floor-") as folder:
                floor = bare(Path(folder), batch, seconds, ids)
                one = asyncio.run(ours(Path(folder, "one"), batch, seconds, ids, 1))
                two = asyncio.run(ours(Path(folder, "two"), batch, seconds, ids, 2))
            rates = f"{floor:13,.0f} {one:14,.0f} {one / floor:7.2f} {two:15,.0f} {two / floor:7.2f}"
            print(f"{ids.__name__:8} {batch:5} {rates}", flush=True)


if __name__ == "__main__":
    main()

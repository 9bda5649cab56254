"""The ceiling for durable posts: one SQLite connection that inserts and commits batches of the same rows, nothing else.

The same journal mode and durability as Tieline (WAL, synchronous=FULL), and the index that finds a repeated post.
Making the rows is part of the loop: somebody has to.
"""

import argparse
import json
import sqlite3
import time
from pathlib import Path

from .durable import TEXT

SCHEMA = """
CREATE TABLE messages (position INTEGER PRIMARY KEY, at INTEGER, author TEXT, id TEXT, text TEXT);
CREATE UNIQUE INDEX message_ids ON messages (author, id);
"""


def write(file: Path, batch: int, seconds: float) -> dict[str, float]:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.executescript(SCHEMA)
    rows, started, cpu = 0, time.perf_counter(), time.process_time()
    ids = time.time_ns()
    while (elapsed := time.perf_counter() - started) < seconds:
        at = int(time.time() * 1000)
        posts = [(rows + i + 1, at, "ada", f"{ids + rows + i:x}", TEXT) for i in range(batch)]
        db.execute("BEGIN")
        db.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", posts)
        db.execute("COMMIT")
        rows += batch
    db.close()
    return {"rate": rows / elapsed, "server_cpu": (time.process_time() - cpu) / rows * 1e6, "batch": float(batch)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("batch", type=int)
    parser.add_argument("seconds", type=float)
    args = parser.parse_args()
    print(json.dumps(write(args.file, args.batch, args.seconds)))


if __name__ == "__main__":
    main()

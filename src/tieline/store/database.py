"""The database's two threads: one that writes, with group commit, and one that reads beside it.

Owns the data folder (its lock too), both connections and both threads, from `open()` to `close()`.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from tieline.errors import ConfigError, Unavailable
from tieline.limits import DEFAULT, Limits
from tieline.promise import tell_all
from tieline.store.chat import Committed, Post
from tieline.store.folder import DataFolder
from tieline.store.log import MessageLog
from tieline.store.schema import migrate
from tieline.store.writer import WEIGHT, Item, Job, Writer

log = logging.getLogger("tieline.store")
T = TypeVar("T")
IN_MEMORY = ":memory:"


class Database:
    """`where` is the data folder, or ":memory:" for one that is gone when closed (and is read by the writer)."""

    def __init__(self, where: str | Path, *, limits: Limits = DEFAULT) -> None:
        self.on_committed: Callable[[Committed], None] | None = None
        self._limits = limits
        self._folder = None if str(where) == IN_MEMORY else DataFolder(Path(where))
        self._writer: Writer | None = None
        self._reader: ThreadPoolExecutor | None = None
        self._reading: sqlite3.Connection | None = None
        self._waiting = 0

    async def open(self) -> None:
        """Take the folder, bring the tables up to date, start. Raises ConfigError in a sentence."""
        self._loop = asyncio.get_running_loop()
        if self._folder is not None:
            self._folder.open()
        self._writer = Writer(self._connect, self._deliver, self._limits.commit_rows)
        try:
            await self._writer.start()
            if self._folder is not None:
                self._reader = ThreadPoolExecutor(1, thread_name_prefix="tieline-reader")
                self._reading = await self._loop.run_in_executor(self._reader, self._connect_reader)
        except sqlite3.Error as error:
            await self.close()
            raise ConfigError("data", f"the database in {self._place} cannot be opened: {error}") from error
        except BaseException:  # cancelled too: nobody else could close it
            await self.close()
            raise

    async def close(self) -> None:
        """Write all that is queued, then let go of the folder. Fine to call twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()
        await self._release()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place} {'open' if self._writer else 'closed'} {self._waiting} B waiting>"

    # -- for the two halves --------------------------------------------------------------------------------------

    def _write(self, work: Callable[[sqlite3.Connection, MessageLog], T]) -> asyncio.Future[T]:
        """Run it in the writer's next transaction; done when that is on disk. `work` may run twice."""
        job = Job(work)
        self._writer_or_refuse().put(job)
        return job.future()

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run it on the reading connection: it sees all that was answered before."""
        if self._reader is None or self._reading is None:
            return await self._write(lambda db, log: work(db))
        return await self._loop.run_in_executor(self._reader, work, self._reading)

    def _writer_or_refuse(self) -> Writer:
        if self._writer is None:
            raise Unavailable("the server is closing and stores nothing more")
        return self._writer

    # -- inside --------------------------------------------------------------------------------------------------

    def _deliver(self, batch: list[Item], added: Committed) -> None:
        """On the loop, after a commit. Publish first: an answered author may at once ask who has seen it."""
        self._waiting -= sum([len(item.text) + WEIGHT for item in batch if type(item) is Post])
        if added and self.on_committed is not None:
            try:
                self.on_committed(added)
            except Exception:  # whoever publishes, the authors are to be answered
                log.exception("publishing what was committed failed; it is stored all the same")
        tell_all(batch)

    def _connect(self) -> sqlite3.Connection:
        db = _open(self._folder.database if self._folder else IN_MEMORY)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            # 16 MiB between checkpoints: an index page that many commits touch is copied back once for all of them.
            db.execute("PRAGMA wal_autocheckpoint = 4096")
            db.execute("PRAGMA cache_size = -16384")
            migrate(db)
        except BaseException:  # whatever it was: nobody else has the connection yet
            db.close()
            raise
        return db

    def _connect_reader(self) -> sqlite3.Connection:
        assert self._folder is not None
        db = _open(self._folder.database)
        db.execute("PRAGMA query_only = ON")
        return db

    async def _release(self) -> None:
        reader, self._reader = self._reader, None
        reading, self._reading = self._reading, None
        if reader is not None:
            if reading is not None:
                await self._loop.run_in_executor(reader, reading.close)
            reader.shutdown(wait=True)
        if self._folder is not None:
            self._folder.close()

    @property
    def _place(self) -> str:
        return str(self._folder.path) if self._folder else "memory"


def _open(path: str | Path) -> sqlite3.Connection:
    # One thread uses it at a time, but which one is not fixed: opening and closing may be another's.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256)

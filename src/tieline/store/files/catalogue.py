"""What is known of files besides what the disk says: digest, by whom, when. The Catalogue half of SqliteStore.

An entry holds for the very file it was made for: when size, time of change or inode differ, somebody changed the file
by hand, and the entry is not believed. Losing one loses no file; a digest is found again by reading.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future as ThreadFuture
from itertools import chain

import msgspec

from tieline.store.database import Database
from tieline.store.files.facts import Facts, kept
from tieline.store.files.names import Parts, shown
from tieline.store.log import MessageLog

BY_HAND = ""
"Whose files are that came by no account."


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A file that is there. `path` as `names.shown` gives it; `at` in unix milliseconds."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    digest: bytes | None
    "None while nobody has read the file whole."
    by: str = BY_HAND
    at: int = 0

    def holds(self, facts: Facts) -> bool:
        """Whether it is still about what lies on the disk."""
        return (self.size, self.mtime_ns, self.inode) == (facts.size, facts.mtime_ns, facts.inode)


class Sums(msgspec.Struct, frozen=True):
    """What an account's files take."""

    bytes: int
    files: int


_Row = tuple[str, int, int, int, bytes | None, str, int]
_rows = msgspec.json.Decoder(list[tuple[str, int, int, int, str | None, str, int]]).decode
_FOUND = """
    SELECT json_group_array(json_array(files.path, size, mtime, inode, hex(digest), account, at))
    FROM json_each(?) AS asked CROSS JOIN files ON files.path = asked.value
"""
_RECORD = """
    INSERT INTO files VALUES {} ON CONFLICT (path) DO UPDATE SET
    size = excluded.size, mtime = excluded.mtime, inode = excluded.inode, digest = excluded.digest,
    account = excluded.account, at = excluded.at
"""
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_TOGETHER = 64
"Rows in one statement: each statement takes the interpreter's lock from the threads that bring the next ones."
_RECORD_ONE = _RECORD.format(_ROW)
_RECORD_MANY = _RECORD.format(", ".join([_ROW] * _TOGETHER))
DAY = 86_400_000
"Milliseconds. What was recorded so long after the moment one asks for was so by a clock that was wrong, and is old."
_OLD = f"files.at NOT BETWEEN ? AND ? + {DAY}"
_LEARN = f"""
    INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET
    size = excluded.size, mtime = excluded.mtime, inode = excluded.inode, digest = excluded.digest
    WHERE {_OLD} OR (size, mtime, inode) = (excluded.size, excluded.mtime, excluded.inode)
"""
_NOTICE = f"""
    INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET
    size = excluded.size, mtime = excluded.mtime, inode = excluded.inode, digest = NULL WHERE {_OLD}
"""


class SqliteCatalogue(Database):
    """Paths are text as `names.shown` gives it. Methods are for the loop's thread, but for the one that says so."""

    on_sums: Callable[[dict[str, Sums]], None] | None = None
    "Called on the loop with what changed, before a change of the catalogue is answered."

    def record(self, entries: Sequence[Entry]) -> asyncio.Future[None]:
        """Keep these, instead of what was known of their paths; done when it is on disk."""
        return self._record([_row(entry) for entry in entries])

    def record_from_thread(self, entries: Sequence[Entry]) -> ThreadFuture[None]:
        """The same, for threads: `.result(timeout)` waits."""
        rows = [_row(entry) for entry in entries]
        return self._from_thread(lambda: self._record(rows))

    def learn(self, entry: Entry, before: int) -> asyncio.Future[None]:
        """Keep a digest found by reading a file that was opened at `before` (unix milliseconds); whose it is stays.

        What was recorded of another file since then is left as it is.
        """
        row = _row(entry)
        return self._sum_up(lambda db: db.execute(_LEARN, (*row, before, before)))

    async def known(self, paths: Iterable[str]) -> dict[str, Entry]:
        """What is known of these, by path; ask `Entry.holds` before believing it."""
        asked = json.dumps(list(paths))
        text = await self._read(lambda db: db.execute(_FOUND, (asked,)).fetchone()[0])
        return {row[0]: _entry(*row) for row in _rows(text)}

    def forget(self, parts: Parts) -> asyncio.Future[None]:
        """The file or the folder with all in it is there no more."""
        path = shown(parts)
        return self._sum_up(lambda db: db.execute(f"DELETE FROM files WHERE {_BELOW}", _below(path)))

    def moved(self, source: Parts, target: Parts) -> asyncio.Future[None]:
        """The file or folder has another path now, and whatever had that is gone."""
        old, new = shown(source), shown(target)

        def work(db: sqlite3.Connection) -> None:
            db.execute(f"DELETE FROM files WHERE {_BELOW}", _below(new))
            db.execute(
                f"UPDATE files SET path = :new || substr(path, :length) WHERE {_BELOW}",
                _below(old) | {"new": new, "length": len(old) + 1},
            )

        return self._sum_up(work)

    def forget_from_thread(self, parts: Parts) -> ThreadFuture[None]:
        """`forget` for threads; heard in the order of such calls, those of `record_from_thread` among them."""
        return self._from_thread(lambda: self.forget(parts))

    def moved_from_thread(self, source: Parts, target: Parts) -> ThreadFuture[None]:
        """`moved` likewise."""
        return self._from_thread(lambda: self.moved(source, target))

    def notice(self, entries: Sequence[Entry], before: int) -> asyncio.Future[None]:
        """These are on the disk, and not as they were known, or not known at all. Whose they are stays. What was
        recorded after `before` (unix milliseconds) is left as it is."""
        rows = [(*_row(msgspec.structs.replace(entry, digest=None)), before, before) for entry in entries]
        return self._sum_up(lambda db: db.executemany(_NOTICE, rows))

    def gone(self, paths: Sequence[str], before: int) -> asyncio.Future[None]:
        """These are not on the disk any more, unless they were recorded after `before`."""
        asked = json.dumps(list(paths))
        sql = f"DELETE FROM files WHERE path IN (SELECT value FROM json_each(?)) AND {_OLD}"
        return self._sum_up(lambda db: db.execute(sql, (asked, before, before)))

    async def entries(self, after: str, limit: int) -> list[Entry]:
        """What is known, by path, from behind `after`: for comparing with the disk."""
        sql = (
            "SELECT json_group_array(json_array(path, size, mtime, inode, hex(digest), account, at)) "
            "FROM (SELECT * FROM files WHERE path > ? ORDER BY path LIMIT ?)"
        )
        text = await self._read(lambda db: db.execute(sql, (after, limit)).fetchone()[0])
        return [_entry(*row) for row in _rows(text)]

    async def sums(self) -> dict[str, Sums]:
        """What the files of each account take; those that came by hand count for `BY_HAND`."""
        return await self._read(_sums)

    def _record(self, rows: list[_Row]) -> asyncio.Future[None]:
        def work(db: sqlite3.Connection) -> None:
            end = len(rows) - len(rows) % _TOGETHER
            for at in range(0, end, _TOGETHER):
                db.execute(_RECORD_MANY, list(chain.from_iterable(rows[at : at + _TOGETHER])))
            db.executemany(_RECORD_ONE, rows[end:])

        return self._sum_up(work)

    def _from_thread(self, begin: Callable[[], asyncio.Future[None]]) -> ThreadFuture[None]:
        async def begun() -> None:
            await begin()

        return asyncio.run_coroutine_threadsafe(begun(), self._loop)

    def _sum_up(self, work: Callable[[sqlite3.Connection], object]) -> asyncio.Future[None]:
        """Do it, and tell `on_sums` what the accounts have afterwards."""

        def and_sum(db: sqlite3.Connection, log: MessageLog) -> dict[str, Sums]:
            work(db)
            return _sums(db)

        done: asyncio.Future[None] = self._loop.create_future()
        self._write(and_sum).add_done_callback(lambda written: self._told(written, done))
        return done

    def _told(self, written: "asyncio.Future[dict[str, Sums]]", done: "asyncio.Future[None]") -> None:
        error = None if written.cancelled() else written.exception()
        if error is None and not written.cancelled() and self.on_sums is not None:
            self.on_sums(written.result())
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(None)


# '0' is the character behind '/': a range of the primary key, where LIKE would look at every row.
_BELOW = "(path = :path OR (path >= :path || '/' AND path < :path || '0'))"


def _below(path: str) -> dict[str, str | int]:
    return {"path": path}


def _sums(db: sqlite3.Connection) -> dict[str, Sums]:
    return {account: Sums(size, files) for account, size, files in db.execute("SELECT * FROM file_sums")}


def _row(entry: Entry) -> _Row:
    return (entry.path, entry.size, *kept(entry.mtime_ns, entry.inode), entry.digest, entry.by, entry.at)


def _entry(path: str, size: int, mtime: int, inode: int, digest: str | None, by: str, at: int) -> Entry:
    return Entry(path, size, mtime, inode, bytes.fromhex(digest) if digest else None, by, at)

"""One thread, one connection, group commit: all that was queued since the last commit is one transaction.

What one tick of the loop queues is handed over as one list, so that neither thread is woken, nor wakes the other, for
every post.

Goes in: posts and other work, from the loop's thread. Comes out, on the loop and after COMMIT only: one callback for
each batch, which tells what was added and then answers everybody who waits. A batch the disk did not take fails as a
whole and the thread goes on; one refused post or failed piece of work never fails its neighbours.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import groupby
from queue import SimpleQueue
from typing import Any, TypeVar

from tieline.errors import InternalError, TielineError, Unavailable
from tieline.promise import Promise, settle
from tieline.store.chat import Committed, Post
from tieline.store.log import MessageLog

log = logging.getLogger("tieline.store")
T = TypeVar("T")


class Job(Promise[Any], eq=False, gc=False):
    """Any other work on the tables. It may run twice (the first time rolled back), so it touches nothing else."""

    work: Callable[[sqlite3.Connection, MessageLog], Any]


Item = Post | Job
WEIGHT = 256
"Bytes that a waiting message is counted as beside its text, near enough."
SILENCE = 60.0
"Seconds between two complaints about the disk: on a full one every batch fails, and the log may lie on it too."
Deliver = Callable[[list[Item], Committed], None]
"A batch whose outcomes are final, and what it added."


class Writer:
    """`start()` opens the connection (and raises what that raises); `close()` first writes all that is queued."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], deliver: Deliver, batch: int) -> None:
        self._connect = connect
        self._deliver = deliver
        self._batch = batch
        self._gathered: list[Item] = []  # in this tick
        self._queue: SimpleQueue[list[Item] | None] = SimpleQueue()
        self._rest: list[Item] = []  # the thread's: more than one batch was there
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="tieline-writer", daemon=True)

    def put(self, item: Item) -> None:
        """Queue a Post or a Job; from the loop's thread."""
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(item)

    async def start(self) -> None:
        self._thread.start()
        await self._opened

    async def close(self) -> None:
        self._hand_over()
        self._queue.put(None)
        await self._ended
        self._thread.join()

    def _hand_over(self) -> None:
        if self._gathered:
            items, self._gathered = self._gathered, []
            self._queue.put(items)

    # -- in the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            db = self._connect()
        except BaseException as error:  # all of it is raised where the opening is waited for
            self._on_loop(settle, self._ended, None)
            self._on_loop(settle, self._opened, error)
            return
        self._on_loop(settle, self._opened, None)
        try:
            commits = Commits(db)
            while batch := self._next_batch():
                self._on_loop(self._deliver, batch, commits.commit(batch))
        finally:
            db.close()
            self._on_loop(settle, self._ended, None)

    def _next_batch(self) -> list[Item]:
        """Wait for work, then take all there is. Empty: nothing will come any more."""
        batch = self._rest or self._queue.get() or []
        while batch and len(batch) < self._batch and not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)  # write these first, and end with the next batch
                break
            batch += more
        self._rest = batch[self._batch :]
        return batch[: self._batch]

    def _on_loop(self, action: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(action, *args)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more


class Commits:
    """Batches into transactions. No threads: `commit()` is called from whichever owns the connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._log = MessageLog(db)
        self._complained = -SILENCE

    def commit(self, batch: list[Item]) -> Committed:
        """Write the batch, durably, and say what it added. Each item has its outcome then. Never raises."""
        try:
            try:
                return self._write(batch, MessageLog.append)
            except sqlite3.IntegrityError:
                self._undo()
                return self._write(batch, MessageLog.append_new)
        except Exception as error:  # whatever it was: each author is told, and the thread goes on
            self._undo()
            if not _is_disk_trouble(error) or time.monotonic() - self._complained >= SILENCE:
                self._complained = time.monotonic()
                _complain(error)
            for item in batch:
                item.outcome = _refusal(error)
            return {}

    def _write(self, batch: list[Item], append: Callable[[MessageLog, list[Post], Committed], None]) -> Committed:
        added: Committed = {}
        if append is MessageLog.append and self._log.knows(batch):
            append(self._log, batch, added)  # type: ignore[arg-type]
            return added
        self._db.execute("BEGIN IMMEDIATE")
        for kind, run in groupby(batch, type):
            if kind is Post:
                append(self._log, list(run), added)  # type: ignore[arg-type]
            else:
                for job in run:
                    job.outcome = self._perform(job)  # type: ignore[arg-type]
        self._db.execute("COMMIT")
        return added

    def _perform(self, job: Job) -> Any:
        """One job's value; or its own error, with what it did undone."""
        self._db.execute("SAVEPOINT job")
        try:
            value = job.work(self._db, self._log)
        except Exception as error:  # the job is somebody's: its error goes to him alone
            if _is_disk_trouble(error):
                raise  # it is everybody's
            self._db.execute("ROLLBACK TO job")
            value = error
        self._db.execute("RELEASE job")
        return value

    def _undo(self) -> None:
        self._log.forget()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("a transaction could not be rolled back; the next batch tries again")


def _is_disk_trouble(error: Exception) -> bool:
    # SQLITE_ERROR is a statement that is wrong in itself.
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _complain(error: Exception) -> None:
    if _is_full(error):
        log.error("the disk of the data folder is full: nothing is stored until there is room")
    elif _is_disk_trouble(error):
        log.error("the database could not be written", exc_info=error)
    else:
        log.error("a batch of the database failed", exc_info=error)


def _refusal(error: Exception) -> TielineError:
    if _is_full(error):
        return Unavailable("nothing was stored: the server's disk is full; try again when its owner has made room")
    if _is_disk_trouble(error):
        return Unavailable(f"nothing was stored: the server cannot write to its disk ({error}); try again later")
    return InternalError("nothing was stored: the store failed; the server's log says why")

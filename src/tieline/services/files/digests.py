"""The digest of a file that came by hand: found by reading it once, in a thread, and remembered for that very file."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Protocol

from blake3 import blake3

from tieline.errors import Conflict
from tieline.limits import MiB
from tieline.store.files import facts
from tieline.store.files.catalogue import Entry
from tieline.store.files.facts import Facts
from tieline.store.files.names import Parts, shown
from tieline.store.files.tree import Opened
from tieline.store.files.trouble import telling

PIECE = MiB
"Bytes hashed at a time; the interpreter is free meanwhile."
AT_ONCE = 2
"Files hashed at the same time, each by a thread and a core; the rest wait."
WAITING = 64
"Files that wait to be read for nobody in particular, each with a descriptor; more of them are left for next time."
SETTLED = 2_000_000_000
"Nanoseconds a file must have been left alone before its digest is remembered: times of change tick coarsely."


class Catalogue(Protocol):
    """What is needed of the store."""

    def learn(self, entry: Entry, before: int) -> Awaitable[None]: ...


class Digests:
    """Files being read, by what they are: whoever asks meanwhile waits for the same reading."""

    def __init__(self, catalogue: Catalogue, threads: Executor) -> None:
        self._catalogue = catalogue
        self._threads = threads
        self._reading: dict[tuple[int, int, int], asyncio.Task[bytes]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._stopping = False

    async def of(self, parts: Parts, opened: Opened, since: int) -> bytes:
        """The digest of a file opened at `since` (unix milliseconds), which stays the caller's. Raises Conflict when it
        changes meanwhile."""
        return await asyncio.shield(self._task(parts, opened, since))

    def begin(self, parts: Parts, opened: Opened, since: int) -> None:
        """Read it for whoever asks next, unless there is much to do already."""
        if len(self._reading) < WAITING:
            self._task(parts, opened, since)

    def _task(self, parts: Parts, opened: Opened, since: int) -> "asyncio.Task[bytes]":
        found = opened.facts
        id = (found.inode, found.size, found.mtime_ns)
        task = self._reading.get(id)
        if task is None:
            with telling(parts):
                fd = os.dup(opened.fd)
            task = self._reading[id] = asyncio.create_task(self._read(parts, fd, found, since))
            task.add_done_callback(lambda done: self._over(id, done))
        return task

    async def close(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    async def _read(self, parts: Parts, fd: int, found: Facts, since: int) -> bytes:
        try:
            async with self._turn:
                loop = asyncio.get_running_loop()
                digest = await loop.run_in_executor(self._threads, self._hash, fd, parts, found, lambda: self._stopping)
        finally:
            os.close(fd)
        if time.time_ns() - found.mtime_ns > SETTLED:
            entry = Entry(shown(parts), found.size, found.mtime_ns, found.inode, digest, at=found.mtime_ns // 1_000_000)
            await self._catalogue.learn(entry, since)
        return digest

    @staticmethod
    def _hash(fd: int, parts: Parts, found: Facts, stopping: Callable[[], bool]) -> bytes:
        hasher = blake3()
        buffer = memoryview(bytearray(PIECE))
        offset = 0
        with telling(parts):
            while offset < found.size and not stopping():
                got = os.preadv(fd, [buffer[: min(PIECE, found.size - offset)]], offset)
                if not got:
                    break
                hasher.update(buffer[:got])
                offset += got
            now = facts.of(found.name, os.fstat(fd))
        if offset != found.size or (now.size, now.mtime_ns) != (found.size, found.mtime_ns):
            raise Conflict(f"{shown(parts)} changed while it was read; try again", {"path": shown(parts)})
        return hasher.digest()

    def _over(self, id: tuple[int, int, int], done: "asyncio.Task[bytes]") -> None:
        self._reading.pop(id, None)
        if not done.cancelled():
            done.exception()  # looked at by whoever waits, if anybody does

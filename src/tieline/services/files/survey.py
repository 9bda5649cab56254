"""The catalogue compared with the disk: files that came, changed or went by hand are counted, and their digests not
believed. At the start and every hour, and soon after the catalogue could not be told of a change; a little at a time.
What is put meanwhile is left alone.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import islice
from typing import Protocol

from tieline.errors import CallError, Unavailable
from tieline.store.files.catalogue import Entry
from tieline.store.files.facts import Facts
from tieline.store.files.names import Parts, parse, shown
from tieline.store.files.tree import Tree

log = logging.getLogger("tieline.files")
EVERY = 3600.0
"Seconds from one survey to the next."
SOON = 30.0
"Seconds until one that is wanted: a disk that is full now may have room then."
BATCH = 500
"Files looked at between two pauses."
PAUSE = 0.005


class Catalogue(Protocol):
    """What is needed of the store."""

    async def known(self, paths: Sequence[str]) -> dict[str, Entry]: ...

    async def entries(self, after: str, limit: int) -> list[Entry]: ...

    def notice(self, entries: Sequence[Entry], before: int) -> Awaitable[None]: ...

    def gone(self, paths: Sequence[str], before: int) -> Awaitable[None]: ...


class Survey:
    """`again()` looks at everything once; `run()` for ever, now and then."""

    def __init__(
        self, tree: Tree, catalogue: Catalogue, threads: Executor, clock: Callable[[], float] = time.time
    ) -> None:
        self._tree = tree
        self._catalogue = catalogue
        self._threads = threads
        self._clock = clock
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """The catalogue could not be told of a change: look before the hour is over."""
        self._wanted.set()

    async def run(self) -> None:
        """Until it is cancelled. Trouble with one survey is told, and there is another."""
        while True:
            try:
                await self.again()
            except Unavailable as error:
                log.warning("comparing the catalogue with the disk is tried again: %s", error)
                self.soon()
            except Exception:  # a fault of ours must not be the end of all surveys
                log.exception("comparing the catalogue with the disk failed; nothing depends on it but the sums")
            await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY):
                await self._wanted.wait()
                await asyncio.sleep(SOON)
        self._wanted.clear()

    async def again(self) -> None:
        """Afterwards the catalogue's sums are those of the disk, but for what changed meanwhile."""
        began = int(self._clock() * 1000)
        await self._what_is_there(began)
        await self._what_is_not(began)

    async def _what_is_there(self, began: int) -> None:
        loop = asyncio.get_running_loop()
        everything = self._tree.walk(())
        while seen := await loop.run_in_executor(self._threads, _some, everything):
            files = {shown(parts): facts for parts, facts in seen if facts.kind == "file"}
            known = await self._catalogue.known(list(files))
            unknown = [
                Entry(path, facts.size, facts.mtime_ns, facts.inode, None, at=facts.mtime_ns // 1_000_000)
                for path, facts in files.items()
                if path not in known or not known[path].holds(facts)
            ]
            if unknown:
                await self._catalogue.notice(unknown, began)
            await asyncio.sleep(PAUSE)

    async def _what_is_not(self, began: int) -> None:
        loop = asyncio.get_running_loop()
        after = ""
        while entries := await self._catalogue.entries(after, BATCH):
            after = entries[-1].path
            gone = await loop.run_in_executor(self._threads, self._missing, entries)
            if gone:
                await self._catalogue.gone(gone, began)
            await asyncio.sleep(PAUSE)

    def _missing(self, entries: Sequence[Entry]) -> list[str]:
        return [entry.path for entry in entries if not self._is_file(entry.path)]

    def _is_file(self, path: str) -> bool:
        try:
            return self._tree.stat(parse(path)).kind == "file"
        except CallError:
            return False


def _some(everything: Iterator[tuple[Parts, Facts]]) -> list[tuple[Parts, Facts]]:
    return list(islice(everything, BATCH))

"""What goes on by itself: what was removed is deleted, quotas hear what is used, disk and catalogue are compared."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from tieline.services.files.survey import Catalogue as SurveyCatalogue
from tieline.services.files.survey import Survey
from tieline.store.files.catalogue import Sums
from tieline.store.files.quota import Quota
from tieline.store.files.tree import Tree


class Catalogue(SurveyCatalogue, Protocol):
    """What is needed of the store."""

    on_sums: Callable[[dict[str, Sums]], None] | None

    async def sums(self) -> dict[str, Sums]: ...


class Housekeeping:
    """From `start()` to `close()`, which lets long work stop at its next step."""

    def __init__(self, tree: Tree, catalogue: Catalogue, quota: Quota, threads: Executor) -> None:
        self.survey = Survey(tree, catalogue, threads)
        self._tree = tree
        self._catalogue = catalogue
        self._quota = quota
        self._threads = threads
        self._surveying: asyncio.Task[None] | None = None
        self._emptying: asyncio.Task[None] | None = None
        self._removed = False
        self._closing = False

    async def start(self, *, survey: bool = True) -> None:
        """Learn what is used, delete what an earlier run had still to delete, look what came by hand."""
        self._catalogue.on_sums = self._quota.used
        self._quota.used(await self._catalogue.sums())
        self.empty_trash()
        if survey:
            self._surveying = asyncio.create_task(self.survey.run())

    async def close(self) -> None:
        self._closing = True
        if self._surveying is not None:
            self._surveying.cancel()
            await asyncio.wait([self._surveying])
        if self._emptying is not None:
            await asyncio.wait([self._emptying])
        self._catalogue.on_sums = None

    def empty_trash(self) -> None:
        """Begin; what is going on already goes on with what came since."""
        self._removed = True
        if not self._closing and (self._emptying is None or self._emptying.done()):
            self._emptying = asyncio.create_task(self._empty())

    async def _empty(self) -> None:
        loop = asyncio.get_running_loop()
        while self._removed and not self._closing:
            self._removed = False
            await loop.run_in_executor(self._threads, self._tree.empty_trash, self._is_closing)

    def _is_closing(self) -> bool:
        return self._closing

"""A folder's entries in order of their names, a page at a time, whatever its size.

Memory is bounded: the folder is scanned for the names that come next, a run of them is kept for the pages after this
one, and it is thrown away when the folder changes.
"""

import heapq
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from tieline.limits import Limits
from tieline.store.files import facts
from tieline.store.files.facts import Facts
from tieline.store.files.names import OURS, Parts, fault_of

_RUN = 10
"Pages whose names are found in one scan."
_RUNS = 16
"Folders of which such a run is kept."
_SURE = 50_000_000
"Nanoseconds. A folder that changed so recently may change again without its time telling."
_PAGE_BYTES = 512 * 1024


class Page(msgspec.Struct, frozen=True):
    """Entries by name. `next`: ask again with `after` this for what follows; None, there is no more.

    `unnamed` counts entries on the way whose names cannot be used here (see names.py); they were put there by hand.
    """

    entries: list[Facts]
    next: str | None
    unnamed: int = 0


class _Run(msgspec.Struct):
    after: str
    names: list[str]
    whole: bool
    stamp: int


class Listing:
    """One for a tree; any thread."""

    def __init__(self, limits: Limits) -> None:
        self._page = limits.listing
        self._limits = limits
        self._runs: OrderedDict[tuple[int, int], _Run] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, folder: int, parts: Parts, after: str, limit: int) -> Page:
        """The page behind `after` of the open folder that `parts` lead to. Raises OSError."""
        limit = max(1, min(limit, self._page))
        names, whole = self._names(folder, after, limit)
        entries: list[Facts] = []
        unnamed, size = 0, 0
        for index, name in enumerate(names):
            if size > _PAGE_BYTES:
                return Page(entries, names[index - 1], unnamed)
            if not parts and name.startswith(OURS):
                continue
            if fault_of(name, self._limits) is not None:
                unnamed += 1
                continue
            try:
                entry = facts.look(folder, (*parts, name))
            except FileNotFoundError:
                continue  # gone since
            entries.append(entry)
            size += 4 * len(name) + len(entry.target) + 128
        return Page(entries, None if whole else names[-1], unnamed)

    def _names(self, folder: int, after: str, limit: int) -> tuple[list[str], bool]:
        """The next `limit` names, and whether these are the last."""
        status = os.fstat(folder)
        id = (status.st_dev, status.st_ino)
        with self._lock:
            run = self._runs.get(id)
        if run is None or run.stamp != status.st_mtime_ns or not _holds(run, after, limit):
            run = self._read(folder, after, status.st_mtime_ns)
            self._keep(id, run)
        first = next((index for index, name in enumerate(run.names) if name > after), len(run.names))
        names = run.names[first : first + limit]
        return names, run.whole and first + limit >= len(run.names)

    def _read(self, folder: int, after: str, stamp: int) -> _Run:
        most = _RUN * self._page
        names = heapq.nsmallest(most + 1, (name for name in _all(folder) if name > after))
        return _Run(after, names[:most], len(names) <= most, stamp)

    def _keep(self, id: tuple[int, int], run: _Run) -> None:
        with self._lock:
            self._runs.pop(id, None)
            if time.time_ns() - run.stamp > _SURE and len(run.names) > self._page // 10:
                self._runs[id] = run
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)


def _holds(run: _Run, after: str, limit: int) -> bool:
    if after < run.after:
        return False
    return run.whole or (len(run.names) >= limit and after < run.names[-limit])


def _all(folder: int) -> Iterator[str]:
    """Every name that is text at all."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name):
                yield name

"""Which names a folder has, so that none comes beside one it would be confused with elsewhere (`README`, `readme`).

The names of folders in use are held in memory, a bounded number of them, and read again when a folder was changed by
somebody else. Change within the same tick of the disk's clock may be missed: this keeps order, it keeps nobody out.
Not for several threads at once: the tree's lock is around it.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from tieline.errors import Conflict, TooLarge
from tieline.limits import Limits
from tieline.store.files.names import Parts, key, shown

_Id = tuple[int, int]


class _Names:
    """A folder's names by their keys, as they were at `stamp`."""

    __slots__ = ("by_key", "stamp")

    def __init__(self, by_key: dict[str, str], stamp: int) -> None:
        self.by_key = by_key
        self.stamp = stamp


class Clashes:
    """One for a tree."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.folder_entries
        self._folders: OrderedDict[_Id, _Names] = OrderedDict()  # used longest ago first
        self._held = 0

    def check(self, folder: int, name: str, parts: Parts) -> None:
        """Raises Conflict when the folder (a descriptor; `parts` for the sentence) has a name like this but not this,
        TooLarge when it is full. Call it for names that are not there."""
        names = self._of(folder)
        there = names.by_key.get(key(name))
        if there not in (None, name):
            raise Conflict(
                f"{shown((*parts, name))} would be the same as {there!r} on other systems, which is there already",
                {"path": shown(parts), "there": there},
            )
        if len(names.by_key) >= self._most:
            raise TooLarge(f"{shown(parts)} holds {self._most:,} entries, and no folder takes more; use another")

    def known(self, folder: int) -> Mapping[str, str] | None:
        """The names of the folder by their keys, which are not to be changed; None when it is full, or not known."""
        names = self._of(folder)
        return names.by_key if len(names.by_key) < self._most else None

    def changed(self, folder: int, *, added: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        """The tree itself changed the folder just now."""
        status = os.fstat(folder)
        names = self._folders.get((status.st_dev, status.st_ino))
        if names is None:
            return
        before = len(names.by_key)
        for name in removed:
            names.by_key.pop(key(name), None)
        for name in added:
            names.by_key[key(name)] = name
        names.stamp = status.st_mtime_ns
        self._held += len(names.by_key) - before

    def _of(self, folder: int) -> _Names:
        status = os.fstat(folder)
        id = (status.st_dev, status.st_ino)
        known = self._folders.get(id)
        if known is not None and known.stamp == status.st_mtime_ns:
            self._folders.move_to_end(id)
            return known
        self._drop(id)
        names = self._folders[id] = _Names(self._read(folder), status.st_mtime_ns)
        self._held += len(names.by_key)
        while self._held > self._most and len(self._folders) > 1:
            self._drop(next(iter(self._folders)))
        return names

    def _read(self, folder: int) -> dict[str, str]:
        by_key: dict[str, str] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                by_key[key(entry.name)] = entry.name
                if len(by_key) >= self._most:  # filled by hand: full is all there is to know
                    break
        return by_key

    def _drop(self, id: _Id) -> None:
        gone = self._folders.pop(id, None)
        self._held -= len(gone.by_key) if gone else 0


class NoClashes(Clashes):
    """For a folder of somebody's own, where every name is as good as another."""

    def check(self, folder: int, name: str, parts: Parts) -> None:
        """Nothing clashes."""

    def known(self, folder: int) -> Mapping[str, str] | None:
        return {}

    def changed(self, folder: int, *, added: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        """Nothing is remembered."""

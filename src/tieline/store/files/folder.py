"""One folder beneath the root, held open: names are given and taken within it, whatever its path leads to meanwhile.

A folder that is moved or swapped for a link while it is held stays the one that was opened, inside the tree.
"""

import errno
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Self

from tieline.errors import CallError, Conflict
from tieline.store.files import facts
from tieline.store.files.clashes import Clashes
from tieline.store.files.facts import Facts
from tieline.store.files.names import Parts, key, link_target, shown
from tieline.store.files.rename import rename, rename_new
from tieline.store.files.trouble import telling, told


class Folder:
    """Blocking; for any thread. Close it, or use it as a context manager. `fd` is good until then."""

    __slots__ = ("_clashes", "_lock", "fd", "parts")

    def __init__(self, fd: int, parts: Parts, clashes: Clashes, lock: threading.Lock) -> None:
        self.fd = fd
        self.parts = parts
        self._clashes = clashes
        self._lock = lock

    def look(self, name: str) -> Facts | None:
        """What is called so here; None when nothing is."""
        with telling((*self.parts, name)):
            try:
                return facts.look(self.fd, (*self.parts, name))
            except FileNotFoundError:
                return None

    def check(self, name: str, *, replace: bool) -> Facts | None:
        """What a file called so would replace. Raises Conflict when it may not be, or has a double on other systems."""
        there = self.look(name)
        with self._lock, telling((*self.parts, name)):
            self._check(name, there, replace=replace)
        return there

    def place(self, source: int, name: str, new: str, *, replace: bool, expected: Facts | None = None) -> Facts | None:
        """Give the file `name` of the open folder `source` its final name here; returns what it replaced.

        One step of the disk's: it is here wholly or not at all. Durable after `sync()`. Raises what `check` raises, and
        Conflict when it would replace another file than the one `expected`.
        """
        with self._lock, telling((*self.parts, new)):
            there = self.look(new)
            if expected is not None:
                check_same(there, expected, (*self.parts, new))
            self._check(new, there, replace=replace)
            (rename if replace else rename_new)(source, name, self.fd, new)
            self._clashes.changed(self.fd, added=(new,))
        return there

    def place_all(
        self,
        source: int,
        names: Sequence[tuple[str, str]],
        *,
        replace: bool,
        expected: Mapping[str, Facts] | None = None,
    ) -> list[CallError | None]:
        """The same for many, (name in `source`, name here): what became of each, in their order.

        Cheaper by half for names that are new: the folder is looked at once for all of them.
        """
        answers: list[CallError | None] = [None] * len(names)
        placed: list[str] = []
        later: list[int] = []
        give = rename if replace else rename_new
        with self._lock, telling(self.parts):
            known = self._clashes.known(self.fd)
            mine: set[str] = set()
            for at, (name, new) in enumerate(names):
                same = key(new)
                if known is None or same in known or same in mine or (expected and new in expected):
                    later.append(at)  # something is called so, or like it
                    continue
                try:
                    give(source, name, self.fd, new)
                except OSError as error:
                    answers[at] = told(error, (*self.parts, new))
                else:
                    mine.add(same)
                    placed.append(new)
            self._clashes.changed(self.fd, added=placed)
        for at in later:
            try:
                self.place(source, *names[at], replace=replace, expected=(expected or {}).get(names[at][1]))
            except CallError as error:
                answers[at] = error
        return answers

    def link(self, name: str, target: str, *, replace: bool = True) -> None:
        """Make a symbolic link that leads into the tree. Raises InvalidArgument for any other, Conflict for a name
        that is taken, unless by a link, which is replaced if it may be."""
        link_target(self.parts, target)
        with self._lock, telling((*self.parts, name)):
            there = self.look(name)
            if there is not None and there.kind == "link" and there.target == target:
                return
            replace = replace and there is not None and there.kind == "link"
            self._check(name, there, replace=replace)
            if replace:
                os.unlink(name, dir_fd=self.fd)
            os.symlink(target, name, dir_fd=self.fd)
            self._clashes.changed(self.fd, added=(name,))

    def make(self, name: str) -> None:
        """Make a folder here. Raises Conflict when something is called so."""
        with self._lock, telling((*self.parts, name)):
            if self.look(name) is not None:
                raise OSError(errno.EEXIST, "")
            self._clashes.check(self.fd, name, self.parts)
            os.mkdir(name, 0o755, dir_fd=self.fd)
            self._clashes.changed(self.fd, added=(name,))

    def sync(self) -> None:
        """What was placed, made, linked or removed here survives the power going off."""
        with telling(self.parts):
            os.fsync(self.fd)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Folder {shown(self.parts)} {'open' if self.fd >= 0 else 'closed'}>"

    def _check(self, name: str, there: Facts | None, *, replace: bool) -> None:
        if there is None:
            self._clashes.check(self.fd, name, self.parts)
        elif there.kind == "folder":
            raise OSError(errno.EISDIR, "")
        elif not replace:
            raise OSError(errno.EEXIST, "")
        elif there.kind == "other":
            path = shown((*self.parts, name))
            raise Conflict(f"{path} is no file but a device, FIFO or socket, which is not replaced", {"path": path})


def check_same(there: Facts | None, expected: Facts, parts: Parts) -> None:
    """Raises Conflict, whose data has `changed`, when what is there is not the very file that was expected."""
    if there is None or any(getattr(there, fact) != getattr(expected, fact) for fact in _SAME):
        path = shown(parts)
        raise Conflict(
            f"{path} is not the file any more that was there; look at what is there now",
            {"path": path, "changed": True},
        )


_SAME = ("kind", "size", "mtime_ns", "inode")

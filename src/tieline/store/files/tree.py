"""The tree of files beneath one folder of the disk. Blocking code, for any thread; errors are sentences about paths.

Every path is resolved anew, by handles (see beneath.py), at the moment it is used: what was a folder a moment ago and
is a link now leads nowhere. What is removed or renamed here is durable when the method returns.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec

from tieline.errors import CallError, Conflict, InvalidArgument
from tieline.limits import DEFAULT, Limits
from tieline.store.files import facts, names
from tieline.store.files.beneath import FILE, FOLDER, Resolver, best, is_file
from tieline.store.files.clashes import Clashes, NoClashes
from tieline.store.files.facts import Facts
from tieline.store.files.folder import Folder, check_same
from tieline.store.files.listing import Listing, Page
from tieline.store.files.names import Parts, shown
from tieline.store.files.rename import rename, rename_new
from tieline.store.files.trash import Trash
from tieline.store.files.trouble import telling


class Space(msgspec.Struct, frozen=True):
    """The disk the tree lies on, in bytes. `free` is what the server itself may still use."""

    total: int
    free: int
    files: int | None = None
    "Files and folders it still takes; None where only bytes count."


class Opened(msgspec.Struct, frozen=True):
    """An ordinary file, open for reading. Whoever has it closes `fd`."""

    fd: int
    facts: Facts


class Tree:
    """Open from `Tree(root)`, which makes the folder if need be, until `close()`.

    Not `shared`: a folder of somebody's own, where names may be alike and nothing goes to a trash.
    """

    def __init__(
        self, root: Path, *, shared: bool = True, resolver: Resolver | None = None, limits: Limits = DEFAULT
    ) -> None:
        self.root = root
        self._resolver = resolver if resolver is not None else best()
        self._limits = limits
        self._lock = threading.Lock()
        "Around every change of names: what was looked at still holds when it is acted on."
        self.in_order = threading.Lock()
        "For whoever changes names and then says so elsewhere: of two changes the later is told later."
        self._clashes = Clashes(limits) if shared else NoClashes(limits)
        self._listing = Listing(limits)
        root.mkdir(mode=0o700 if shared else 0o777, parents=True, exist_ok=True)
        self.fd = os.open(root, FOLDER)
        self._trash = Trash(self.fd) if shared else None

    def close(self) -> None:
        if self._trash is not None:
            self._trash.close()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Tree {self.root} by {self._resolver}>"

    # -- looking -------------------------------------------------------------------------------------------------

    def folder(self, parts: Parts, *, make: bool = False) -> Folder:
        """The folder itself, open; with `make`, after making what lacks on the way. Raises NotFound."""
        try:
            return self._open_folder(parts)
        except OSError as error:
            if make and isinstance(error, FileNotFoundError | NotADirectoryError):
                return self._make_on_the_way(parts)
            with telling(parts):
                raise

    def check_way(self, parts: Parts) -> None:
        """Whether `folder(parts, make=True)` would find something in its way: raises what that would."""
        folder = self._open_folder(())
        for depth in range(1, len(parts) + 1):
            with folder:
                inner = self._next_on_the_way(folder, parts[:depth])
                if inner is None:
                    folder.check(parts[depth - 1], replace=False)
                    return
            folder = inner
        folder.close()

    def stat(self, parts: Parts) -> Facts:
        """What lies at this path; a link is told as a link. Raises NotFound."""
        with telling(parts):
            if not parts:
                return facts.of("", os.fstat(self.fd))
            with self._open_folder(parts[:-1]) as folder:
                return facts.look(folder.fd, parts)

    def open(self, parts: Parts) -> Opened:
        """A file, for reading. Raises NotFound, Conflict for what is no file."""
        with telling(parts):
            with self._open_folder(parts[:-1]) as folder:
                kind = facts.look(folder.fd, parts).kind if parts else "folder"
                if kind != "file":
                    raise _no_file(parts, kind)
                # The name alone, within the folder: the very last step can be swapped no more than the others.
                fd = self._resolver.open(folder.fd, parts[-1:], FILE)
            try:
                if not is_file(fd):
                    raise _no_file(parts, "other")
                return Opened(fd, facts.of(parts[-1], os.fstat(fd)))
            except BaseException:  # whatever it was: nobody else has the descriptor yet
                os.close(fd)
                raise

    def page(self, parts: Parts, after: str = "", limit: int = 1 << 30) -> Page:
        """Entries of a folder by name, those behind `after`, at most `limit` (and `limits.listing`) of them."""
        with self.folder(parts) as folder, telling(parts):
            return self._listing.page(folder.fd, parts, after, limit)

    def walk(self, parts: Parts) -> Iterator[tuple[Parts, Facts]]:
        """Everything below a folder, a folder before what is in it, page by page; links are not followed.

        What goes away meanwhile is left out, and so is what lies deeper than paths may reach.
        """
        ahead: list[tuple[Parts, str]] = [(parts, "")]
        while ahead:
            here, after = ahead.pop()
            try:
                page = self.page(here, after)
            except CallError:
                if here == parts:
                    raise
                continue
            if page.next is not None:
                ahead.append((here, page.next))
            for entry in page.entries:
                where = (*here, entry.name)
                yield where, entry
                if entry.kind == "folder" and len(where) < self._limits.path_depth:
                    ahead.append((where, ""))

    def space(self) -> Space:
        """Room on the disk."""
        with telling(()):
            status = os.fstatvfs(self.fd)
        files = status.f_favail if status.f_files else None
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize, files)

    # -- changing ------------------------------------------------------------------------------------------------

    def make(self, parts: Parts, *, parents: bool = False) -> None:
        """Make a folder; with `parents`, what lacks on the way too, and it may be there already."""
        if not parts:
            raise Conflict("/ is there already", {"path": "/"})
        if parents:
            self.folder(parts, make=True).close()
            return
        with self.folder(parts[:-1]) as folder:
            folder.make(parts[-1])
            folder.sync()

    def remove(self, parts: Parts, *, whole: bool = False, expected: Facts | None = None) -> Facts:
        """Remove a file, a link or an empty folder; with `whole`, a folder with all that is in it.

        A whole folder is gone from sight at once; deleting it is `empty_trash()`. Returns what was removed. Raises
        Conflict when that would be another file than the one `expected`.
        """
        if not parts:
            raise InvalidArgument("/ cannot be removed, only what is in it")
        with self.folder(parts[:-1]) as folder, telling(parts):
            with self._lock:
                there = facts.look(folder.fd, parts)
                if expected is not None:
                    check_same(there, expected, parts)
                if there.kind != "folder":
                    os.unlink(parts[-1], dir_fd=folder.fd)
                elif whole and self._trash is not None:
                    self._trash.take(folder.fd, parts[-1])
                else:
                    os.rmdir(parts[-1], dir_fd=folder.fd)
                self._clashes.changed(folder.fd, removed=parts[-1:])
            folder.sync()
        return there

    def move(self, source: Parts, target: Parts, *, replace: bool = False) -> Facts:
        """Give what lies at `source` the path `target`; returns what was moved. Raises Conflict when something is
        there, unless it is a file and may be replaced by one."""
        if not source or not target:
            raise InvalidArgument("/ cannot be moved or replaced")
        if target[: len(source)] == source and len(target) > len(source):
            raise Conflict(f"{shown(source)} cannot be moved into itself", {"path": shown(source)})
        with self.folder(source[:-1]) as old, self.folder(target[:-1]) as new:
            with self._lock, telling(source):
                moved = facts.look(old.fd, source)
                self._check_target(old, source, new, target, moved, replace=replace)
                (rename if replace else rename_new)(old.fd, source[-1], new.fd, target[-1])
                self._clashes.changed(old.fd, removed=source[-1:])
                self._clashes.changed(new.fd, added=target[-1:])
            new.sync()
            old.sync()
        return moved

    def empty_trash(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Delete what was removed whole; see `Trash.empty`."""
        return self._trash.empty(stop) if self._trash is not None else 0

    # -- inside --------------------------------------------------------------------------------------------------

    def _open_folder(self, parts: Parts) -> Folder:
        return Folder(self._resolver.open(self.fd, parts, FOLDER), parts, self._clashes, self._lock)

    def _make_on_the_way(self, parts: Parts) -> Folder:
        folder = self._open_folder(())
        for depth in range(1, len(parts) + 1):
            with folder:
                inner = self._next_on_the_way(folder, parts[:depth]) or self._make_one(folder, parts[:depth])
            folder = inner
        return folder

    def _next_on_the_way(self, folder: Folder, parts: Parts) -> Folder | None:
        """The folder that `parts` lead to, of which `folder` is the one above; None where nothing is called so."""
        try:
            with telling(parts):
                return self._open_folder(parts)
        except CallError as error:
            there = folder.look(parts[-1])
            if there is not None and there.kind == "file":
                path = shown(parts)
                raise Conflict(f"{path} is a file, not a folder", {"path": path, "kind": "file"}) from error
            if there is not None:
                raise
            return None

    def _make_one(self, folder: Folder, parts: Parts) -> Folder:
        try:
            folder.make(parts[-1])
            folder.sync()
        except Conflict:
            there = folder.look(parts[-1])
            if there is None or there.kind != "folder":  # else somebody else was faster
                raise
        with telling(parts):
            return Folder(self._resolver.open(folder.fd, parts[-1:], FOLDER), parts, self._clashes, self._lock)

    def _check_target(
        self, old: Folder, source: Parts, new: Folder, target: Parts, moved: Facts, *, replace: bool
    ) -> None:
        there = new.look(target[-1])
        if there is None:
            again = os.path.sameopenfile(old.fd, new.fd) and names.key(source[-1]) == names.key(target[-1])
            if not again:  # else only its case changes
                self._clashes.check(new.fd, target[-1], new.parts)
            return
        path = shown(target)
        if not replace or there.kind != "file" or moved.kind != "file":
            what = "" if there.kind == "file" else f", a {there.kind}"
            raise Conflict(f"{path} is there already{what}", {"path": path})


def _no_file(parts: Parts, kind: facts.Kind) -> CallError:
    path = shown(parts)
    if kind == "folder":
        return Conflict(f"{path} is a folder", {"path": path, "kind": kind})
    what = "a symbolic link, and links are not followed" if kind == "link" else "a device, FIFO or socket, not a file"
    return Conflict(f"{path} is {what}", {"path": path, "kind": kind})

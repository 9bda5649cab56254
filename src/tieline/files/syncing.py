"""Making a folder here and one on the server the same, one way or the other: what differs moves, the rest stays.

Two files are the same when size and time of change are. What is only at the target goes away when asked for, after
all that differs has moved; what stands in the way of something of another kind goes before.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tieline.errors import Conflict, NotFound
from tieline.files.tally import Report, Transferred
from tieline.lanes.walking import AFolder, ALink, SomeFiles, walk
from tieline.store.files.beneath import FOLDER
from tieline.store.files.facts import changed_at
from tieline.store.files.names import Parts

if TYPE_CHECKING:
    from tieline.files.api import Files

_MS = 1_000_000


class Thing(msgspec.Struct, frozen=True):
    """One entry of a tree, as far as it is compared. `modified` in unix milliseconds."""

    kind: str
    size: int = 0
    modified: int = 0
    target: str = ""


Things = dict[Parts, Thing]
Remove = Callable[[str], Awaitable[None]]


class Plan(msgspec.Struct, frozen=True):
    """What a sync would do, as paths below the two folders."""

    moves: list[str]
    deletes: list[str]
    first: list[str] = []
    "Of `deletes`, those that stand in the way."


async def sync(
    files: "Files", local: Path, remote: str, *, down: bool, delete: bool, progress: Report | None = None
) -> Transferred:
    """Do it. Raises Conflict when one of the two is no folder, or the one that is to be the pattern is not there."""
    plan = await planned(files, local, remote, down=down, delete=delete)
    remove = _remove_here(local) if down else _remove_there(files, remote)
    for path in plan.first:
        await remove(path)
    if down:
        done = await files.get(remote, local, inside=False, progress=progress)
    else:
        done = await files.put(local, remote, inside=False, progress=progress)
    if not done.failed:
        for path in plan.deletes:
            if path not in plan.first:
                await remove(path)
    return done


async def planned(files: "Files", local: Path, remote: str, *, down: bool, delete: bool) -> Plan:
    """What it would do, without doing it."""
    here = await asyncio.to_thread(_here, local)
    there = await _there(files, remote)
    pattern, target = (there, here) if down else (here, there)
    if pattern is None:
        raise _no_folder(remote if down else local)
    target = target or {}
    moves = [path for path, thing in pattern.items() if thing.kind != "folder" and target.get(path) != thing]
    extra = [path for path in target if path not in pattern] if delete else []
    way = [path for path in pattern if delete and path in target and target[path].kind != pattern[path].kind]
    return Plan(_text(moves), _text(_topmost([*extra, *way])), _text(_topmost(way)))


def _topmost(paths: list[Parts]) -> list[Parts]:
    """Without those that lie in another one of them."""
    chosen = set(paths)
    return [path for path in paths if not any(path[:depth] in chosen for depth in range(1, len(path)))]


def _text(paths: list[Parts]) -> list[str]:
    return sorted("/".join(path) for path in paths)


def _here(folder: Path) -> Things | None:
    try:
        descriptor = os.open(folder, FOLDER)
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise _no_folder(folder) from error
    things: Things = {}
    try:
        for found in walk(descriptor):
            match found:
                case AFolder(path) if path:
                    things[path] = Thing("folder")
                case ALink(path, target):
                    things[path] = Thing("link", target=target)
                case SomeFiles(fd, inner, names):
                    things |= {(*inner, name): _file(fd, name) for name in names}
    finally:
        os.close(descriptor)
    return things


def _no_folder(path: str | Path) -> Conflict:
    return Conflict(f"{path} is no folder, and only folders are kept the same")


def _file(folder: int, name: str) -> Thing:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return Thing("file", status.st_size, changed_at(status) // _MS)


async def _there(files: "Files", remote: str) -> Things | None:
    try:
        if remote.strip("/") and (await files.stat(remote)).kind != "folder":
            raise _no_folder(remote)
        return {path: thing async for path, thing in _below(files, remote, ())}
    except NotFound:
        return None


async def _below(files: "Files", remote: str, inner: Parts) -> AsyncIterator[tuple[Parts, Thing]]:
    async for entry in files.entries("/".join((remote.rstrip("/"), *inner)) or "/"):
        path = (*inner, entry.name)
        yield path, Thing(entry.kind, entry.size, entry.modified if entry.kind == "file" else 0, entry.target)
        if entry.kind == "folder":
            async for each in _below(files, remote, path):
                yield each


def _remove_there(files: "Files", remote: str) -> Remove:
    async def remove(path: str) -> None:
        with suppress(NotFound):
            await files.remove(f"{remote.rstrip('/')}/{path}", whole=True)

    return remove


def _remove_here(local: Path) -> Remove:
    async def remove(path: str) -> None:
        await asyncio.to_thread(_remove, local / path)

    return remove


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

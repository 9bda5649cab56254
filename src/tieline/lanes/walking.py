"""What a folder holds, as a row of things to send: each folder before what is in it, by handles, links not followed.

Goes in: an open folder. Comes out: folders, links, files (a handle of their folder and a name), and what cannot be
sent, with the reason. Names that could not be kept everywhere are refused here, before anything is sent.
"""

import os
import stat
from collections.abc import Callable, Iterator

import msgspec

from tieline.errors import CallError
from tieline.limits import DEFAULT, Limits
from tieline.store.files.beneath import FOLDER
from tieline.store.files.names import OURS, Parts, fault_of, link_target

Allowed = Callable[[Parts], bool]
"Whether a folder (its path below the root) may be gone into."


class AFolder(msgspec.Struct, frozen=True, gc=False):
    path: Parts
    mode: int


class ALink(msgspec.Struct, frozen=True, gc=False):
    path: Parts
    target: str


class SomeFiles(msgspec.Struct, frozen=True):
    """Files of one folder, whose handle `fd` is good until the next is asked for."""

    fd: int
    folder: Parts
    names: list[str]


class NotSent(msgspec.Struct, frozen=True, gc=False):
    path: Parts
    message: str


Found = AFolder | ALink | SomeFiles | NotSent


def walk(root: int, allowed: Allowed = lambda path: True, limits: Limits = DEFAULT) -> Iterator[Found]:
    """Everything below the open folder `root`, which stays the caller's."""
    yield AFolder((), os.fstat(root).st_mode)
    yield from _inside(root, (), allowed, limits)


def _inside(here: int, path: Parts, allowed: Allowed, limits: Limits) -> Iterator[Found]:
    names: list[str] = []
    folders: list[str] = []
    for entry in _sorted(here):
        fault = fault_of(entry.name, limits)
        if fault is not None:
            if not (not path and entry.name.startswith(OURS)):
                yield NotSent((*path, _as_text(entry.name)), f"the name {fault}")
        elif entry.is_file(follow_symlinks=False):
            names.append(entry.name)
        elif entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        else:
            yield _other(here, (*path, entry.name), entry)
    if names:
        yield SomeFiles(here, path, names)
    for name in folders:
        yield from _into(here, (*path, name), allowed, limits)


def _into(here: int, path: Parts, allowed: Allowed, limits: Limits) -> Iterator[Found]:
    if not allowed(path):
        return
    if len(path) > limits.path_depth:
        yield NotSent(path, f"it lies more than {limits.path_depth} folders deep")
        return
    try:
        inner = os.open(path[-1], FOLDER | os.O_NOFOLLOW, dir_fd=here)
    except FileNotFoundError:
        return  # gone since
    except OSError as error:
        yield NotSent(path, reason(error))
        return
    try:
        yield AFolder(path, os.fstat(inner).st_mode)
        yield from _inside(inner, path, allowed, limits)
    finally:
        os.close(inner)


def _sorted(here: int) -> "list[os.DirEntry[str]]":
    with os.scandir(here) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _other(here: int, path: Parts, entry: "os.DirEntry[str]") -> Found:
    if not entry.is_symlink():
        return NotSent(path, special(entry.stat(follow_symlinks=False).st_mode))
    try:
        target = os.readlink(path[-1], dir_fd=here)
        link_target(path[:-1], target)
    except (OSError, CallError) as error:
        return NotSent(path, reason(error))
    return ALink(path, target)


def reason(error: OSError | CallError) -> str:
    """Why something is not sent."""
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def special(mode: int) -> str:
    """Why what has this mode is not sent."""
    kinds = {stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    kind = next((name for test, name in kinds.items() if test(mode)), "something special")
    return f"it is {kind}, and no file"


def _as_text(name: str) -> str:
    """A name that may not be UTF-8, as something that can be said and shown."""
    return os.fsencode(name).decode(errors="replace")

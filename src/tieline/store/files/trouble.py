"""The disk's errors in our words: what it means for the path that was asked for, and what to do next.

Told to people elsewhere, it is the server's disk; a client that keeps files says `on_this_machine()` first.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from tieline.errors import CallError, Conflict, InvalidArgument, NotFound, Overloaded, Unavailable
from tieline.store.files.names import Parts, shown

log = logging.getLogger("tieline.files")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_GONE = {
    errno.ENOENT: "there is no {}",
    errno.ENOTDIR: "there is no {}: something on the way there is no folder",
    errno.ELOOP: "{} is a symbolic link or lies behind one, and links are not followed",
}
_IN_THE_WAY = {
    errno.EEXIST: "{} is there already",
    errno.ENOTEMPTY: "the folder {} is not empty",
    errno.EISDIR: "{} is a folder",
    errno.EXDEV: "{} lies on another disk than where it should go",
    errno.EINVAL: "{} cannot go there: a folder does not fit into itself",
    errno.ETXTBSY: "{} is being run just now",
    errno.EBUSY: "{} is in use just now",
}


class Place(msgspec.Struct, frozen=True):
    """Whose disk it is, to those who hear of it."""

    disk: str = "the server's disk"
    full: str = "try again when its owner has made room"
    closed: str = "the server itself may not use it; its owner must look at the permissions"
    program: str = "the server"
    within: str = ""
    "The folder that paths are below, as people know it."
    logged: bool = True


_MACHINES = Place(
    "that machine's disk", closed="the agent there may not use it; its owner must look at it", program="the agent there"
)
_place: ContextVar[Place | None] = ContextVar("tieline.disk", default=None)
_everywhere = Place()


def on_a_machine_that_joined() -> None:
    """In this process the disk is that of a machine whose files others use through a server."""
    global _everywhere
    _everywhere = _MACHINES


def place() -> Place:
    """Whose disk it is, here."""
    return _place.get() or _everywhere


def on_this_machine(folder: str) -> None:
    """From here on, in this thread, the disk is the person's own, and paths are below `folder`."""
    own = Place(
        "this machine's disk", "make room, and run it again", "you may not use it", "this program", folder, logged=False
    )
    _place.set(own)


@contextmanager
def telling(parts: Parts) -> Iterator[None]:
    """What the disk refuses within is raised as a CallError about this path."""
    try:
        yield
    except OSError as error:
        raise told(error, parts) from error


def told(error: OSError, parts: Parts) -> CallError:
    """The error as callers get it; trouble of the server's own goes to its log as well."""
    where = place()
    path, code = where.within.rstrip("/") + shown(parts), error.errno or 0
    data = {"path": path}
    if code in _GONE:
        return NotFound(_GONE[code].format(path), data)
    if code in _IN_THE_WAY:
        return Conflict(_IN_THE_WAY[code].format(path), data)
    if code == errno.ENAMETOOLONG:
        return InvalidArgument(f"{path}: a name in it is too long for {where.disk}", data)
    if where.logged:
        log.error("the disk refused %s: %s", path, error.strerror)
    if code in (errno.EMFILE, errno.ENFILE):
        return Overloaded(f"{where.program} has too many files open; try again in a moment", data)
    if code in _FULL:
        return Unavailable(f"{path}: {where.disk} is full; {where.full}", data)
    if code in (errno.EACCES, errno.EPERM):
        return Unavailable(f"{path}: {where.closed}", data)
    return Unavailable(f"{path}: {where.disk} failed ({error.strerror}); its owner must look at it", data)

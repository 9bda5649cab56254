"""The disk's errors in our words: what it means for the path that was asked for, and what to do next. Pure."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

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
    errno.EXDEV: "{} lies on another disk of the server than where it should go",
    errno.EINVAL: "{} cannot go there: a folder does not fit into itself",
    errno.ETXTBSY: "{} is being run on the server just now",
    errno.EBUSY: "{} is in use on the server just now",
}


@contextmanager
def telling(parts: Parts) -> Iterator[None]:
    """What the disk refuses within is raised as a CallError about this path."""
    try:
        yield
    except OSError as error:
        raise told(error, parts) from error


def told(error: OSError, parts: Parts) -> CallError:
    """The error as callers get it; trouble of the server's own goes to its log as well."""
    path, code = shown(parts), error.errno or 0
    data = {"path": path}
    if code in _GONE:
        return NotFound(_GONE[code].format(path), data)
    if code in _IN_THE_WAY:
        return Conflict(_IN_THE_WAY[code].format(path), data)
    if code == errno.ENAMETOOLONG:
        return InvalidArgument(f"{path}: a name in it is too long for the server's disk", data)
    if code in (errno.EMFILE, errno.ENFILE):
        log.error("no descriptor left for %s", path)
        return Overloaded("the server has too many files open; try again in a moment", data)
    log.error("the disk refused %s: %s", path, error.strerror)
    if code in _FULL:
        return Unavailable(f"{path}: the server's disk is full; try again when its owner has made room", data)
    if code in (errno.EACCES, errno.EPERM):
        return Unavailable(f"{path}: the server itself may not use it; its owner must look at the permissions", data)
    return Unavailable(f"{path}: the server's disk failed ({error.strerror}); its owner must look at it", data)

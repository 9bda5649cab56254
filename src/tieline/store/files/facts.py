"""What the disk says of one entry, told without following a link."""

import os
import stat
from typing import Literal

import msgspec

from tieline.errors import InvalidArgument
from tieline.store.files.names import Parts, link_target

Kind = Literal["file", "folder", "link", "other"]
"other: a FIFO, a device or a socket that somebody put there by hand; it is listed, and never opened."


MOST = (1 << 63) - 1
"What a table and a frame can hold: some disks know dates beyond 2262, and inodes of 64 bits."


class Facts(msgspec.Struct, frozen=True, gc=False):
    """One entry of a folder. `mtime_ns` in unix nanoseconds; `mode` holds the nine permission bits."""

    name: str
    kind: Kind
    size: int
    mtime_ns: int
    inode: int
    mode: int
    target: str = ""
    "Where a link leads, relative to its folder; empty for one that leads out of the tree, which is nobody's business."


def of(name: str, status: os.stat_result, target: str = "") -> Facts:
    """The facts in a status."""
    kind = kind_of(status)
    size = status.st_size if kind == "file" else 0
    mtime, inode = kept(status.st_mtime_ns, status.st_ino)
    return Facts(name, kind, size, mtime, inode, stat.S_IMODE(status.st_mode) & 0o777, target)


def changed_at(status: os.stat_result) -> int:
    """Time of change in unix nanoseconds, as it is kept, sent and compared."""
    return kept(status.st_mtime_ns, 0)[0]


def kept(mtime_ns: int, inode: int) -> tuple[int, int]:
    """Time of change and inode as they are kept and compared."""
    if not -MOST <= mtime_ns <= MOST:
        mtime_ns = MOST if mtime_ns > 0 else -MOST
    return mtime_ns, inode & MOST


def look(folder: int, parts: Parts) -> Facts:
    """The facts of the last of `parts`, in the open folder of the others. Raises OSError."""
    name = parts[-1]
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return of(name, status, _target(folder, parts) if stat.S_ISLNK(status.st_mode) else "")


def kind_of(status: os.stat_result) -> Kind:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def _target(folder: int, parts: Parts) -> str:
    target = os.readlink(parts[-1], dir_fd=folder)
    try:
        link_target(parts[:-1], target)
    except InvalidArgument:
        return ""
    return target

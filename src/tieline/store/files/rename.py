"""Giving a thing its name: over what was there, or only where nothing is. Both are one step of the disk's.

Descriptors of folders and names within them; raises OSError.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable

_NOREPLACE = 1
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP})


def rename(source: int, name: str, folder: int, new: str) -> None:
    """Replace what is called `new`, if anything is: a reader sees the one or the other."""
    os.rename(name, new, src_dir_fd=source, dst_dir_fd=folder)


def rename_new(source: int, name: str, folder: int, new: str) -> None:
    """Raises FileExistsError when something is called `new`."""
    if _renameat2 is not None:
        if not _renameat2(source, os.fsencode(name), folder, os.fsencode(new), _NOREPLACE):
            return
        code = ctypes.get_errno()
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code), new)
    _link_new(source, name, folder, new)


def _link_new(source: int, name: str, folder: int, new: str) -> None:
    """The same with what every system has. A second name in between is seen by nobody who does not look for it."""
    if stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
        # Folders have no second name. mkdir is what refuses here; a rename may replace an empty folder.
        os.mkdir(new, dir_fd=folder)
        try:
            rename(source, name, folder, new)
        except OSError:
            os.rmdir(new, dir_fd=folder)
            raise
        return
    os.link(name, new, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(name, dir_fd=source)


def _find() -> Callable[..., int] | None:
    found = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        found.restype = ctypes.c_int
    return found


_renameat2 = _find()

"""Opening what lies beneath a folder, and nothing else: two ways with one promise.

Goes in: a handle of the root and parts (see names.py; never `..`). Comes out: a handle of the thing itself, reached
through real folders only. A symbolic link anywhere on the way, the last part included, is an OSError (ELOOP, ENOTDIR),
also when a folder is swapped for one at that very moment: no path is ever looked up twice.

`Openat2` lets the kernel hold the promise in one call (Linux 5.6). `Walk` goes from handle to handle, which every POSIX
system can; it is used where the call is missing or a sandbox forbids it.
"""

import ctypes
import errno
import os
import stat
import sys
from typing import Protocol

from tieline.store.files.names import Parts

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Not waiting for a FIFO's other end, and not taking a terminal; what was opened is looked at before it is used.
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_SYS_OPENAT2 = 437  # the same number on every architecture of Linux but Alpha
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_TRIES = 64
"How often openat2 is asked again when it could not be sure (EAGAIN), before the walk is taken instead."


class Resolver(Protocol):
    """`open` gives a descriptor that the caller closes; it raises OSError."""

    def open(self, root: int, parts: Parts, flags: int) -> int: ...


class Walk:
    """One handle after the other, each opened within the one before, never through a link."""

    def open(self, root: int, parts: Parts, flags: int) -> int:
        here = os.dup(root) if not parts else root
        try:
            for part in parts[:-1]:
                inner = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=here)
                if here != root:
                    os.close(here)
                here = inner
            return os.open(parts[-1] if parts else ".", flags | os.O_NOFOLLOW, dir_fd=here)
        finally:
            if here != root:
                os.close(here)

    def __repr__(self) -> str:
        return "<Walk>"


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Openat2:
    """Raises OSError (ENOSYS, EPERM, …) when made where the kernel does not offer the call to us."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long
        self._syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
        self._walk = Walk()
        self._prove()

    def open(self, root: int, parts: Parts, flags: int) -> int:
        how = _How(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
        path = os.fsencode("/".join(parts) or ".")
        for _ in range(_TRIES):
            descriptor = int(self._syscall(_SYS_OPENAT2, root, path, ctypes.byref(how), ctypes.sizeof(how)))
            if descriptor >= 0:
                return descriptor
            code = ctypes.get_errno()
            if code not in (errno.EAGAIN, errno.EINTR):
                raise OSError(code, os.strerror(code), "/".join(parts))
        return self._walk.open(root, parts, flags)

    def _prove(self) -> None:
        """Some sandboxes answer every call they do not know with success or nonsense: see it refuse before using it."""
        root = os.open("/", FOLDER)
        try:
            os.close(self.open(root, (), FOLDER))
            try:
                os.close(self.open(root, ("..",), FOLDER))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                raise OSError(errno.ENOSYS, "openat2 does not keep its promise here")
        finally:
            os.close(root)

    def __repr__(self) -> str:
        return "<Openat2>"


def best() -> Resolver:
    """The kernel's own way where there is one."""
    try:
        return Openat2()
    except (OSError, AttributeError):
        return Walk()


def is_file(descriptor: int) -> bool:
    """Whether this is an ordinary file, and not a FIFO, a device or a socket."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)

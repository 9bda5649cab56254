"""Listening Unix sockets. A dead server's socket file is replaced; a living one's, or any other file, is left alone."""

import errno
import fcntl
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from tieline.errors import AddressError
from tieline.transports.sockets import BACKLOG, STREAM, SocketOptions

PATH_MAX = 107 if sys.platform == "linux" else 103
"Bytes. sun_path, less its final NUL."


def listen_unix(
    path: str, *, mode: int = 0o600, backlog: int = BACKLOG, options: SocketOptions = STREAM
) -> socket.socket:
    """A listening Unix socket; `mode` says who may connect. A dead server's socket file is replaced, nothing else."""
    length = len(os.fsencode(path))
    if length > PATH_MAX:
        raise AddressError(f"unix:{path}", f"the path has {length} bytes, the system allows {PATH_MAX}; shorten it")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        options.apply(sock)
        with _alone_in(os.path.dirname(path) or "."):
            _remove_stale(path)
            sock.bind(path)
            os.chmod(path, mode)  # nobody can have connected yet: that takes listen()
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise AddressError(f"unix:{path}", f"cannot listen there: {error.strerror or error}") from error
    except BaseException:  # the path is in use, or none: nobody else has the socket yet
        sock.close()
        raise
    return sock


@contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Two servers starting at once must not each take the other's new socket for a stale one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AddressError(folder, "another server is starting in this folder; try again") from None
        except OSError:
            pass  # a file system without locks: the check is then merely very likely right
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise AddressError(f"unix:{path}", "a file that is no socket is there already; move it away or name another")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        answer = probe.connect_ex(path)
    if answer != errno.ECONNREFUSED:  # 0, or EAGAIN when its backlog is full
        raise AddressError(f"unix:{path}", "held by another server that is running; stop it or name another path")
    os.unlink(path)


class SocketFile(msgspec.Struct, frozen=True):
    """The file of a listening Unix socket, known well enough that a successor's file is never removed."""

    path: str
    device: int
    inode: int
    made: int
    "Nanoseconds: a file system may give a successor the same inode again."

    @classmethod
    def of(cls, sock: socket.socket) -> "SocketFile":
        path = os.path.abspath(sock.getsockname())
        found = os.lstat(path)
        return cls(path, found.st_dev, found.st_ino, found.st_mtime_ns)

    def remove(self) -> None:
        """Do this before closing the socket: then the path leads to a server or nowhere."""
        with suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino, found.st_mtime_ns) == (self.device, self.inode, self.made):
                os.unlink(self.path)

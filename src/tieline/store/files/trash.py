"""Where whole folders go to be deleted: out of sight in one step, then emptied at leisure, at the next start too.

Deleting goes by handles and never follows a link; it holds two folders open however deep the tree is, because a folder
within a folder is first moved up beside it.
"""

import errno
import logging
import os
import secrets
from collections.abc import Callable

from tieline.store.files.beneath import FOLDER
from tieline.store.files.facts import kind_of
from tieline.store.files.names import OURS
from tieline.store.files.rename import rename

log = logging.getLogger("tieline.files")

NAME = f"{OURS}trash"
_BATCH = 1000
"Names read at once."


class Trash:
    """A folder of our own beneath the root. Blocking; for any thread."""

    def __init__(self, root: int) -> None:
        try:
            os.mkdir(NAME, 0o700, dir_fd=root)
        except FileExistsError:
            pass
        self._fd = os.open(NAME, FOLDER | os.O_NOFOLLOW, dir_fd=root)

    def take(self, folder: int, name: str) -> None:
        """Move what is called so here; deleting it is `empty()`. Raises OSError."""
        rename(folder, name, self._fd, secrets.token_hex(16))

    def empty(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Delete what is here, until nothing is left or `stop()` says so; returns how many files and folders that was.

        What cannot be deleted stays, and is logged."""
        done, stuck = 0, set[str]()
        while not stop():
            names = [name for name in _some(self._fd, _BATCH + len(stuck)) if name not in stuck]
            if not names:
                return done
            for name in names:
                if stop():
                    return done
                try:
                    done += self._delete(name, stop)
                except OSError as error:
                    stuck.add(name)
                    log.warning("something removed cannot be deleted (%s/%s): %s", NAME, name, error.strerror)
        return done

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _delete(self, name: str, stop: Callable[[], bool]) -> int:
        """One entry of the trash; its inner folders become entries themselves."""
        try:
            if kind_of(os.stat(name, dir_fd=self._fd, follow_symlinks=False)) != "folder":
                os.unlink(name, dir_fd=self._fd)
                return 1
            return self._delete_folder(name, stop)
        except FileNotFoundError:
            return 0

    def _delete_folder(self, name: str, stop: Callable[[], bool]) -> int:
        folder = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            done = self._empty_folder(folder, stop)
        finally:
            os.close(folder)
        try:
            os.rmdir(name, dir_fd=self._fd)
        except OSError as error:
            # Stopped before it was empty, or a file came late; the next round sees it.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return done
        return done + 1

    def _empty_folder(self, folder: int, stop: Callable[[], bool]) -> int:
        done = 0
        while inner := _some(folder, _BATCH):
            for name in inner:
                if stop():
                    return done
                done += self._unlink(folder, name)
        return done

    def _unlink(self, folder: int, name: str) -> int:
        """How many files are deleted by it: one, or none when it is a folder, which becomes an entry of the trash."""
        try:
            os.unlink(name, dir_fd=folder)
            return 1
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM):  # Linux says EISDIR, POSIX EPERM
                raise
        self.take(folder, name)
        return 0


def _some(folder: int, most: int) -> list[str]:
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) >= most:
                break
    return names

"""The data folder: made for its owner's eyes only, and used by one server at a time."""

import errno
import fcntl
import os
from pathlib import Path

from tieline.errors import ConfigError

DATABASE = "tieline.db"


class DataFolder:
    """Holds the folder's lock from `open()` to `close()`. The kernel lets go of it if the process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / DATABASE
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder if need be and lock it. Raises ConfigError in a sentence."""
        try:
            # An existing folder keeps its mode: it may be somebody's home, and is not ours to close.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._take_lock()
            os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(self.database, 0o600)  # SQLite gives its -wal and -shm files the same mode
        except OSError as error:
            self.close()
            what = f"{error.filename}: " if error.filename and str(error.filename) != str(self.path) else ""
            raise ConfigError("data", f"the folder {self.path} cannot be used: {what}{error.strerror}") from error

    def close(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _take_lock(self) -> int:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise ConfigError(
                "data",
                f"the folder {self.path} is in use by another Tieline server (pid {holder}): "
                "stop that one, or choose another folder",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

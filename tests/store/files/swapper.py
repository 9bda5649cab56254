"""Somebody who swaps folders for symbolic links that lead out, as fast as can be; and a look at what lies outside."""

import contextlib
import ctypes
import os
import threading
from pathlib import Path

_EXCHANGE = 2


class Swapper(threading.Thread):
    """a and a/b are folders and links in turn: exchanged in one step where the system can, else renamed."""

    def __init__(self, root: Path, outside: Path) -> None:
        super().__init__()
        (root / "a" / "b" / "c").mkdir(parents=True)
        self.stop = threading.Event()
        self.swaps = 0
        self._root = root
        self._exchange = getattr(ctypes.CDLL(None), "renameat2", None)
        self._links = {root / "a": root / "link-a", root / "a" / "b": root / "link-b"}
        os.symlink(outside, root / "link-a")
        os.symlink(outside / "b", root / "link-b")

    def run(self) -> None:
        while not self.stop.is_set():
            for real, link in self._links.items():
                for _ in range(2):
                    self._swap(real, link)

    def _swap(self, real: Path, link: Path) -> None:
        if self._exchange is not None:
            self.swaps += self._exchange(-100, os.fsencode(real), -100, os.fsencode(link), _EXCHANGE) == 0
            return
        with contextlib.suppress(OSError):
            aside = self._root / "aside"
            real.rename(aside)
            link.rename(real)
            aside.rename(link)
            self.swaps += 1


def picture(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All there is to know of what lies there."""
    return {
        str(path): (path.lstat().st_ino, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")
    }

"""A thread swaps folders for symbolic links that lead out, while files are put, read, moved and removed there.

The folder outside looks just like the one inside, so that who follows the link succeeds, and is found out: nothing
outside may be read, made, changed or removed. How good the swapper is shows a resolver that trusts paths.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.store.files.swapper import Swapper, picture

from tieline.errors import CallError
from tieline.store.files.beneath import FOLDER, Resolver
from tieline.store.files.names import Parts
from tieline.store.files.tree import Tree

TURNS = 10_000 if os.environ.get("TIELINE_LONG") else 500


class Trusting:
    """What the two resolvers are there not to be."""

    def open(self, root: int, parts: Parts, flags: int) -> int:
        return os.open("/".join(parts) or ".", flags, dir_fd=root)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    for folder in (outside, outside / "b", outside / "b" / "c"):
        folder.mkdir()
        (folder / "x").write_text("SECRET")
        (folder / "keep").write_text("SECRET")
    return outside


@pytest.fixture
def swapper(root: Path, outside: Path) -> Iterator[Swapper]:
    swapper = Swapper(root, outside)
    swapper.start()
    yield swapper
    swapper.stop.set()
    swapper.join()


class Worker:
    """Does everything a caller can have done, over and over, within a and a/b."""

    def __init__(self, tree: Tree, root: Path, outside: Path) -> None:
        self.tree = tree
        self.secret = {path.lstat().st_ino for path in outside.rglob("*")}
        self.read: set[bytes] = set()
        self.done: Counter[str] = Counter()
        self.refused = 0
        (root / ".tieline-staging").mkdir()
        self._staging = os.open(root / ".tieline-staging", FOLDER)

    def work(self, turns: int) -> None:
        """So many turns, and more until each kind of work has met the folder and not the link."""
        steps = [self._put, self._read, self._list, self._make, self._move, self._link, self._remove, self._walk]
        deadline = time.monotonic() + 60
        for turn in count():
            if turn >= turns and (len(self.done) == len(steps) or time.monotonic() > deadline):
                break
            for step in steps:
                try:
                    step(turn)
                    self.done[step.__name__] += 1
                except CallError:
                    self.refused += 1  # because it met the link, mostly
        os.close(self._staging)

    def _place(self, turn: int) -> Parts:
        return [("a",), ("a", "b"), ("a", "b", "c")][turn % 3]

    def _put(self, turn: int) -> None:
        name = f"upload-{turn}"
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=self._staging))
        with self.tree.folder(self._place(turn), make=True) as folder:
            folder.place(self._staging, name, "keep" if turn % 5 == 0 else "x", replace=True)

    def _read(self, turn: int) -> None:
        opened = self.tree.open((*self._place(turn), "x"))
        self.read.add(os.read(opened.fd, 100))
        os.close(opened.fd)

    def _list(self, turn: int) -> None:
        entries = self.tree.page(self._place(turn)).entries
        self.read |= {b"SECRET" for entry in entries if entry.inode in self.secret}

    def _make(self, turn: int) -> None:
        self.tree.make((*self._place(turn), f"folder-{turn}", "inner"), parents=True)

    def _move(self, turn: int) -> None:
        self.tree.move((*self._place(turn), "x"), (*self._place(turn + 1), f"moved-{turn}"))

    def _link(self, turn: int) -> None:
        with self.tree.folder(self._place(turn)) as folder:
            folder.link(f"link-{turn}", "x")

    def _remove(self, turn: int) -> None:
        self.tree.remove((*self._place(turn), "keep" if turn % 5 == 1 else "x"))

    def _walk(self, turn: int) -> None:
        if turn % 16 == 7:
            self.tree.remove(("a", "b"), whole=True)
            self.tree.empty_trash()
            self.tree.make(("a", "b", "c"), parents=True)
        else:
            self.read |= {b"SECRET" for _, facts in self.tree.walk(("a",)) if facts.inode in self.secret}


def test_nothing_outside_is_read_or_changed(swapper: Swapper, root: Path, outside: Path, resolver: Resolver) -> None:
    before = picture(outside)
    with Tree(root, resolver=resolver) as tree:
        worker = Worker(tree, root, outside)
        worker.work(TURNS)
    assert picture(outside) == before
    assert b"SECRET" not in worker.read
    assert len(worker.done) == 8, "each kind of work has met the folder and not the link"
    assert worker.refused > TURNS / 10
    assert swapper.swaps > TURNS / 10


def test_the_swapper_fools_whoever_trusts_paths(swapper: Swapper, root: Path, outside: Path) -> None:
    before = picture(outside)
    with Tree(root, resolver=Trusting()) as tree:
        worker = Worker(tree, root, outside)
        worker.work(100)
    assert picture(outside) != before
    assert b"SECRET" in worker.read

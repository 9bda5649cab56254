"""What the disk says, whatever it says: every fact fits where it is kept."""

import os
from pathlib import Path

import pytest

from tieline.store.files import facts
from tieline.store.files.catalogue import Entry
from tieline.store.files.tree import Tree
from tieline.store.sqlite import SqliteStore

FAR = 10_413_792_000 * 10**9  # 2300-01-01, beyond what 64 bits hold in nanoseconds


@pytest.mark.parametrize("mtime", [FAR, -(10**18), 0, 1])
async def test_any_date_a_disk_keeps_can_be_kept(tree: Tree, root: Path, store: SqliteStore, mtime: int) -> None:
    (root / "x").write_text("x")
    os.utime(root / "x", ns=(mtime, mtime))
    found = tree.stat(("x",))
    raw = (root / "x").stat()
    for entry in (
        Entry("/x", found.size, found.mtime_ns, found.inode, bytes(32)),
        Entry("/x", raw.st_size, raw.st_mtime_ns, raw.st_ino, bytes(32)),
    ):
        await store.record([entry])
        assert (await store.known(["/x"]))["/x"].holds(found)
        await store.learn(entry, 1 << 60)
        await store.notice([entry], 1 << 60)


def test_an_inode_of_64_bits_fits_too() -> None:
    assert facts.kept(5, (1 << 64) - 1) == (5, (1 << 63) - 1)
    assert facts.kept(5, (1 << 63) + 7) == (5, 7)


@pytest.fixture
async def store(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with SqliteStore(tmp_path / "db") as store:
        yield store

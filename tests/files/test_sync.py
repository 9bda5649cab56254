"""Two folders are made the same: only what differs moves, and what is too much goes only when asked."""

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tieline.errors import Conflict

from .conftest import House
from .test_put_and_get import make_tree, tree_of


async def test_only_what_differs_goes_up(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    here, there = make_tree(house.folder / "here"), house.files / "there"
    first = await peer.files.sync_up(here, "/there")
    assert first.failed == []
    assert tree_of(there) == tree_of(here)
    (here / "plain.txt").write_bytes(b"longer than it was")
    (here / "new").write_bytes(b"new")
    (here / "two words").unlink()
    plan = await peer.files.plan(here, "/there", delete=True)
    assert (plan.moves, plan.deletes) == (["new", "plain.txt"], ["two words"])
    second = await peer.files.sync_up(here, "/there")
    assert second.files == 2
    assert (there / "two words").exists()
    third = await peer.files.sync_up(here, "/there", delete=True)
    assert (third.files, third.failed) == (0, [])
    assert tree_of(there) == tree_of(here)


async def test_what_is_too_much_here_goes_when_asked(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    await peer.files.sync_up(make_tree(house.folder / "source"), "/there")
    here = house.folder / "here"
    (here / "too much" / "deep").mkdir(parents=True)
    (here / "too much" / "deep" / "file").write_bytes(b"x")
    outside = house.folder / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"mine")
    (here / "away").symlink_to(outside)
    done = await peer.files.sync_down("/there", here, delete=True)
    assert done.failed == []
    (here / "away").unlink(missing_ok=True)
    assert tree_of(here) == tree_of(house.files / "there")
    assert (outside / "mine").read_bytes() == b"mine"


async def test_a_file_in_the_place_of_a_folder_is_made_way_for(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    here = house.folder / "here"
    (here / "thing").mkdir(parents=True)
    (here / "thing" / "inside").write_bytes(b"x")
    await peer.files.sync_up(here, "/there")
    (here / "thing" / "inside").unlink()
    (here / "thing").rmdir()
    (here / "thing").write_bytes(b"now a file")
    kept = await peer.files.sync_up(here, "/there")
    assert "is a folder" in kept.failed[0].reason
    done = await peer.files.sync_up(here, "/there", delete=True)
    assert done.failed == []
    assert (house.files / "there" / "thing").read_bytes() == b"now a file"


async def test_times_decide_and_are_then_the_same(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    here = house.folder / "here"
    here.mkdir()
    (here / "x").write_bytes(b"same size")
    await peer.files.sync_up(here, "/there")
    (here / "x").write_bytes(b"SAME SIZE")
    os.utime(here / "x", (1, 1))
    assert (await peer.files.sync_up(here, "/there")).files == 1
    assert (await peer.files.sync_up(here, "/there")).files == 0
    assert (house.files / "there" / "x").read_bytes() == b"SAME SIZE"


async def test_what_is_no_folder_is_refused_before_anything_goes(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    here = house.folder / "here"
    here.mkdir()
    (here / "x").write_bytes(b"x")
    with pytest.raises(Conflict, match="no folder"):
        await peer.files.sync_down("/not/there", here, delete=True)
    with pytest.raises(Conflict, match="no folder"):
        await peer.files.sync_up(Path("/not/there"), "/x", delete=True)
    (house.files / "file").write_bytes(b"f")
    with pytest.raises(Conflict, match=r"^/file is no folder"):
        await peer.files.sync_up(here, "/file")
    with pytest.raises(Conflict, match="x is no folder"):
        await peer.files.sync_down("/", here / "x")
    assert (here / "x").exists()


async def test_patterns_are_names_of_the_server(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    source = house.folder / "source"
    source.mkdir()
    for name in ("a.csv", "b.csv", "c.txt", ".d.csv"):
        (source / name).write_bytes(name.encode())
    await peer.files.put(source, "/lab", inside=False)
    assert await peer.files.matching(["/lab/*.csv"]) == ["/lab/a.csv", "/lab/b.csv"]
    assert await peer.files.matching(["/l?b/[bc]*"]) == ["/lab/b.csv", "/lab/c.txt"]
    back = house.folder / "back"
    done = await peer.files.get("/lab/*.csv", back / "")
    assert done.files == 2

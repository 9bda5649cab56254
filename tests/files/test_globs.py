"""Patterns in remote paths, and names that only look like one."""

from contextlib import AsyncExitStack

import pytest

from tieline.errors import NotFound

from .conftest import House


async def test_a_name_with_brackets_is_a_name(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for name in ("photo [1].jpg", "photo 1.jpg", "run [2]/y", "run 2/z"):
        place = house.files / "lab" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    await peer.files.get("/lab/photo [1].jpg", house.folder / "one")
    assert (house.folder / "one").read_text() == "photo [1].jpg"
    await peer.files.sync_down("/lab/run [2]", house.folder / "run")
    assert [path.name for path in (house.folder / "run").iterdir()] == ["y"]
    assert await peer.files.matching(["/lab/run [2]/*"]) == ["/lab/run [2]/y"]
    assert await peer.files.matching(["/lab/photo [1]*"]) == ["/lab/photo 1.jpg"]
    assert await peer.files.matching(["/lab/photo [[]*"]) == ["/lab/photo [1].jpg"]


async def test_a_pattern_that_fits_nothing_is_said(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for pattern in ("/lab/*.csv", "/lab/[x]", "/no*/x"):
        with pytest.raises(NotFound, match="nothing there is called like"):
            await peer.files.matching([pattern])


async def test_a_file_on_the_way_is_no_folder_with_itself_in_it(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for name in ("lab/x.txt", "lab/lab", "x.txt"):
        place = house.files / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    assert await peer.files.matching(["/*/x.txt"]) == ["/lab/x.txt"]
    assert await peer.files.matching(["/*/*.txt"]) == ["/lab/x.txt"]
    assert await peer.files.matching(["/lab/*b"]) == ["/lab/lab"]
    with pytest.raises(NotFound, match="nothing there is called like"):
        await peer.files.matching(["/x.txt/*"])

"""What could not be kept is named, each thing by its own name, and nothing else is."""

from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tieline.errors import Conflict, InvalidArgument, LinkError
from tieline.files.local import LocalDestination
from tieline.files.tally import Tally
from tieline.wire.lane_messages import Failure

from .conftest import House


@pytest.mark.parametrize("refused", [{0}, {1}, {0, 2}, {0, 1, 2, 3, 4, 5}])
async def test_files_there_is_no_room_for_are_named(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, refused: set[int]
) -> None:
    """Small files come in batches, and a batch is refused as a whole."""
    for number in range(40):
        place = house.files / "lab" / f"{number:02}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(f"{number}".encode() * 10_000)
    peer = await house.login(stack, "ada")
    asked: Iterator[int] = iter(range(1000))

    def room(self: LocalDestination, size: int) -> None:
        if next(asked) in refused:
            raise InvalidArgument("there is no room")

    monkeypatch.setattr(LocalDestination, "room", room)
    done = await peer.files.get("/lab", house.folder / "back")
    there = {path.name for path in (house.folder / "back").glob("[0-9]*")}
    assert done.files == len(there)
    assert {failure.path.rpartition("/")[2] for failure in done.failed} == {f"{n:02}" for n in range(40)} - there
    assert all("no room" in failure.reason for failure in done.failed)
    assert done.failed


async def test_names_that_cannot_be_here_are_named_and_the_others_come(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        place = house.files / "lab" / f"{number:02}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{number}")
    peer = await house.login(stack, "ada")
    path = LocalDestination.path

    def picky(self: LocalDestination, root: int, below: list[str]) -> tuple[str, ...]:
        if below and below[-1] in ("03", "11"):
            raise InvalidArgument("not this one")
        return path(self, root, below)

    monkeypatch.setattr(LocalDestination, "path", picky)
    done = await peer.files.get("/lab", house.folder / "back")
    assert sorted(failure.path.rpartition("/")[2] for failure in done.failed) == ["03", "11"]
    assert done.files == 18


async def test_a_folder_onto_a_file_is_one_sentence_and_nothing_is_tried(house: House, stack: AsyncExitStack) -> None:
    (house.files / "report").write_text("a file")
    folder = house.folder / "results"
    folder.mkdir()
    (folder / "one").write_text("1")
    peer = await house.login(stack, "ada")
    with pytest.raises(Conflict, match=r"^there is a file at /report already, and a folder does not take its place$"):
        await peer.files.put(folder, "/report")
    below = await peer.files.put([folder, folder / "one"], "/report")
    assert {failure.reason for failure in below.failed} == {"/report is a file, not a folder"}
    assert (house.files / "report").read_text() == "a file"


def test_a_side_that_says_it_kept_more_than_there_was_is_not_believed() -> None:
    tally = Tally(lambda root, path: "/".join(path), None)
    tally.begin()
    tally.item(0, ("a",), 1)
    tally.kept(1, [], [])
    with pytest.raises(LinkError):
        tally.kept(2, [Failure(1, "x", "y")], [])

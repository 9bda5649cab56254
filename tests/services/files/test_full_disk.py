"""A disk that fills up while files are put: a clear error, nothing half there, and all goes on when there is room."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.files.conftest import House
from tests.services.files.test_files import put
from tests.services.shell.leftovers import until
from tests.small_disks import small_disk

from tieline.errors import Unavailable
from tieline.services.files import survey
from tieline.services.files.entries import FileList
from tieline.store.files import quota

MiB = 1 << 20


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB, where the server's data folder will lie."""
    with small_disk(tmp_path / "disk", "24m") as place:
        yield place


async def test_what_would_not_fit_is_refused_before_its_first_byte(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable, match="do not fit on the server's disk"):
        await put(house, "ada", "/x", b"small, but 64 MiB must stay free")
    monkeypatch.setattr(quota, "MARGIN", MiB)
    await put(house, "ada", "/x", b"fits")
    with pytest.raises(Unavailable, match="do not fit"):
        await put(house, "ada", "/y", bytes(30 * MiB))
    assert os.listdir(house.root / ".tieline-staging") == []


async def test_a_disk_that_fills_up_meanwhile_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await house.login("ada")
    monkeypatch.setattr(quota, "MARGIN", -1 << 40)  # as if others had filled it since it was looked at
    await put(house, "ada", "/kept", b"acknowledged")
    for _ in range(2):
        with pytest.raises(Unavailable, match="disk is full"):
            await put(house, "ada", "/kept", bytes(30 * MiB))
    listed = await ada.call("files.list", path="/", returns=FileList)
    assert [(entry.name, entry.size) for entry in listed.entries if entry.kind == "file"] == [("kept", 12)]
    assert (house.root / "kept").read_bytes() == b"acknowledged"
    assert os.listdir(house.root / ".tieline-staging") == []
    await put(house, "ada", "/kept", bytes(5 * MiB))
    assert (await ada.call("files.usage"))["used"] == 5 * MiB


def fill(place: Path) -> None:
    """Not a byte is left."""
    with (place / "ballast").open("ab", buffering=0) as ballast:
        for size in (1 << 16, 4096, 1):
            try:
                while ballast.write(bytes(size)):
                    pass
            except OSError:
                continue


def free(place: Path) -> int:
    return os.statvfs(place).f_bavail * os.statvfs(place).f_frsize


async def test_who_removes_a_folder_from_a_full_disk_makes_room(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "MARGIN", -1 << 40)
    monkeypatch.setattr(survey, "SOON", 0.01)
    ada = await house.login("ada")
    for name in ("a", "b"):
        await put(house, "ada", f"/lab/{name}", bytes(2 * MiB))
    await put(house, "ada", "/kept", b"x")
    fill(tmp_path)
    await ada.call("files.remove", path="/lab", whole=True)
    await until(lambda: free(tmp_path) > 3 * MiB)
    listed = await ada.call("files.list", path="/", returns=FileList)
    assert [entry.name for entry in listed.entries if entry.kind == "file"] == ["kept"]
    async with asyncio.timeout(20):
        while (await ada.call("files.usage"))["used"] != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_was_moved_on_a_full_disk_was_moved(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "MARGIN", -1 << 40)
    ada = await house.login("ada")
    await put(house, "ada", "/x", b"x")
    fill(tmp_path)
    assert await ada.call("files.move", source="/x", target="/y") == "/y"
    assert (house.root / "y").read_bytes() == b"x"

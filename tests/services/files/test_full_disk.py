"""A disk that fills up while files are put: a clear error, nothing half there, and all goes on when there is room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.files.conftest import House
from tests.services.files.test_files import put

from tieline.errors import Unavailable
from tieline.services.files.entries import FileList
from tieline.store.files import quota

MiB = 1 << 20


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB, where the server's data folder will lie."""
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


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

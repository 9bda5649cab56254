"""Trouble of the person's own disk is told as that, with the paths the person knows."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.small_disks import small_disk

from .conftest import House


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "stick", "256k") as place:
        yield place


async def test_a_full_disk_of_ones_own(
    house: House, stack: AsyncExitStack, stick: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (house.files / "lab").mkdir(parents=True)
    for number in range(40):
        (house.files / "lab" / f"{number:02}").write_bytes(bytes(20_000))
    peer = await house.login(stack, "ada")
    done = await peer.files.get("/lab", stick / "lab", inside=False)
    there = {path.name for path in (stick / "lab").glob("[0-9]*")}
    assert 0 < len(there) == done.files < 40
    assert {Path(failure.path).name for failure in done.failed} == {f"{n:02}" for n in range(40)} - there
    reasons = " ".join(failure.reason for failure in done.failed)
    assert "server" not in reasons
    assert "this machine's disk is full" in reasons or "do not fit on this disk" in reasons
    assert [record for record in caplog.records if record.name == "tieline.files"] == []


async def test_a_folder_that_may_not_be_written_is_named_as_it_was_typed(
    house: House, stack: AsyncExitStack, stick: Path
) -> None:
    (house.files / "x").write_text("x")
    peer = await house.login(stack, "ada")
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", stick], check=True)
    with pytest.raises(OSError, match="Read-only") as refused:
        await peer.files.get("/x", stick)
    assert refused.value.filename == str(stick)

"""What was done by hand is found: counted, and not taken for what it was."""

import asyncio
import os
import time

import pytest
from tests.services.files.conftest import House
from tests.services.files.test_files import put

from tieline.services.files import survey as module
from tieline.services.files.entries import File, Usage
from tieline.store.files.catalogue import Sums


async def sums(house: House) -> dict[str, Sums]:
    return {account: each for account, each in (await house.server.files._catalogue.sums()).items() if each.files}


@pytest.mark.parametrize("batch", [1, 7, 500])
async def test_files_that_came_by_hand_are_counted(house: House, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(module, "BATCH", batch)
    for number in range(20):
        house.file(f"/lab/{number % 3}/{number}", "12345")
    os.symlink("0", house.root / "lab" / "link")
    os.mkfifo(house.root / "fifo")
    (house.root / "a:b").write_text("an impossible name")
    await house.server.files.housekeeping.survey.again()
    assert await sums(house) == {"": Sums(100, 20)}
    usage = await (await house.login("ada")).call("files.usage", returns=Usage)
    assert (usage.all_used, usage.used) == (100, 0)


async def test_files_that_went_or_changed_by_hand_are_counted_as_they_are(house: House) -> None:
    ada = await house.login("ada")
    for name in ("stays", "grows", "goes", "becomes a folder"):
        await put(house, "ada", f"/{name}", b"12345")
    await asyncio.sleep(0.002)  # what was recorded in this very millisecond counts as put meanwhile
    house.file("/grows", "1234567890")
    (house.root / "goes").unlink()
    (house.root / "becomes a folder").unlink()
    house.file("/becomes a folder/x", "1")
    await house.server.files.housekeeping.survey.again()
    assert await sums(house) == {"": Sums(1, 1), "ada": Sums(15, 2)}
    grown = await ada.call("files.stat", path="/grows", returns=File)
    assert (grown.by, grown.digest) == ("ada", "")
    assert (await ada.call("files.stat", path="/stays", returns=File)).digest != ""


async def test_a_file_from_the_far_future_is_counted_like_others(house: House) -> None:
    for name, seconds in (("future", 10_413_792_000), ("past", -2_000_000_000), ("now", 1_795_000_000)):
        os.utime(house.file(f"/{name}", "12345"), (seconds, seconds))
    await house.server.files.housekeeping.survey.again()
    assert await sums(house) == {"": Sums(15, 3)}
    ada = await house.login("ada")
    assert (await ada.call("files.stat", path="/future", returns=File)).modified > 1_795_000_000_000


async def test_what_was_put_while_the_clock_was_a_year_ahead_is_counted_as_it_is(house: House) -> None:
    await put(house, "ada", "/x", b"put")
    await put(house, "ada", "/y", b"put")
    (house.root / "x").unlink()
    (house.root / "y").write_text("longer, by hand")
    files = house.server.files
    right = module.Survey(files.tree, files._catalogue, files.threads.unhurried, lambda: time.time() - 365 * 86_400)
    await right.again()
    assert await sums(house) == {"ada": Sums(15, 1)}


async def test_trouble_with_one_survey_is_told_and_there_is_another(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns, again = asyncio.Event(), []

    async def fail() -> None:
        again.append(1)
        if len(again) == 3:
            turns.set()
        raise ZeroDivisionError

    files = house.server.files
    assert files.housekeeping._surveying is not None
    files.housekeeping._surveying.cancel()
    monkeypatch.setattr(module, "EVERY", 0.001)
    monkeypatch.setattr(files.housekeeping.survey, "again", fail)
    files.housekeeping._surveying = asyncio.create_task(files.housekeeping.survey.run())
    await asyncio.wait_for(turns.wait(), 30)
    assert "comparing the catalogue with the disk failed" in caplog.text


async def test_what_is_put_meanwhile_is_left_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await house.login("ada")
    house.file("/x", "by hand")
    files = house.server.files
    known = files._catalogue.known

    async def late(paths: list[str]) -> object:
        found = await known(paths)
        await put(house, "ada", "/x", b"put")
        await put(house, "ada", "/y", b"put")
        return found

    monkeypatch.setattr(files._catalogue, "known", late)
    await files.housekeeping.survey.again()
    monkeypatch.undo()
    assert (await ada.call("files.stat", path="/x", returns=File)).by == "ada"
    assert await sums(house) == {"ada": Sums(6, 2)}


async def test_a_server_looks_around_when_it_starts(house: House) -> None:
    house.file("/x", "12345")
    files = house.server.files
    assert files.housekeeping._surveying is not None
    files.housekeeping._surveying.cancel()
    await files.housekeeping.start()
    async with asyncio.timeout(30):
        while await sums(house) != {"": Sums(5, 1)}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

"""What commands did reaches the store, many at a time, and outlives a server that is killed in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
from tests.services.shell.leftovers import until

from tieline.errors import Unavailable
from tieline.services.shell import notes as notes_module
from tieline.services.shell.notes import File, Notes
from tieline.store.shell import Begun, CommandEntry
from tieline.store.sqlite import SqliteStore

KEEP = 100
T = TypeVar("T")


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    async with SqliteStore(":memory:") as opened:
        yield opened


def begun(number: int, target: str = "") -> Begun:
    return Begun(f"id-{number}", "ada", "laptop", "192.0.2.1", target, "run", ["echo", "two\nlines"], "/srv", number)


async def by_itself(ask: Callable[[], Awaitable[T]]) -> T:
    """What shares a batch with what a full disk refuses is refused with it: ask again."""
    async with asyncio.timeout(20):
        while True:
            with suppress(Unavailable):
                return await ask()


async def kept(store: SqliteStore) -> list[tuple[str, str]]:
    entries: list[CommandEntry] = await by_itself(lambda: store.commands(account=None, before=None, limit=10_000))
    return [(entry.begun.id, entry.outcome) for entry in reversed(entries)]


def sizes(folder: Path) -> list[int]:
    """Notes in each file."""
    return [len(read(path)) for path in sorted(folder.glob("*.notes"))]


def read(path: Path) -> list[object]:
    file = File(path)
    notes = list(file.read())
    file.close()
    return notes


async def test_what_is_told_is_stored_in_order_and_then_not_noted_any_more(store: SqliteStore, tmp_path: Path) -> None:
    notes = Notes(store, KEEP, tmp_path)
    await notes.start()
    for number in range(3):
        notes.begun(begun(number))
        notes.ended((f"id-{number}", "", 9, f"exit {number}", 0))
    assert await kept(store) == []
    assert sum(map(bool, sizes(tmp_path))) == 1
    await notes.written()
    assert await kept(store) == [("id-0", "exit 0"), ("id-1", "exit 1"), ("id-2", "exit 2")]
    assert sizes(tmp_path) == [0, 0]
    await notes.close()


async def test_it_is_stored_by_itself_soon(store: SqliteStore, tmp_path: Path) -> None:
    notes = Notes(store, KEEP, tmp_path)
    await notes.start()
    notes.begun(begun(1))
    assert any(sizes(tmp_path))
    await until(lambda: not any(sizes(tmp_path)))
    assert await kept(store) == [("id-1", "")]
    await notes.close()


async def test_notes_of_what_comes_while_others_are_written_stay(store: SqliteStore, tmp_path: Path) -> None:
    notes = Notes(store, KEEP, tmp_path)
    await notes.start()
    notes.begun(begun(1))
    writing = asyncio.ensure_future(notes.written())
    await asyncio.sleep(0)
    notes.begun(begun(2))
    assert [note for path in tmp_path.glob("*.notes") for note in read(path) if note == begun(2)] == [begun(2)]
    await writing
    assert [id for id, _ in await kept(store)] == ["id-1", "id-2"]
    await notes.close()


async def test_who_waits_for_what_was_told_waits_for_nothing_else(store: SqliteStore, tmp_path: Path) -> None:
    notes = Notes(store, 1_000_000, tmp_path)
    await notes.start()

    async def go_on() -> None:
        for number in count():
            notes.begun(begun(number))
            await asyncio.sleep(0)

    telling = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await notes.written()
    telling.cancel()
    assert ("id-0", "") in await kept(store)
    await notes.close()


async def test_a_killed_server_has_told_the_next_one(store: SqliteStore, tmp_path: Path) -> None:
    killed = Notes(store, KEEP, tmp_path)
    await killed.start()
    killed.begun(begun(1))
    await killed.written()
    for number in (2, 3):
        killed.begun(begun(number))
    killed.begun(begun(4, target="boss/lab-1"))
    killed.ended(("id-2", "", 9, "exit 2", 0))
    del killed  # nothing of it is stored any more: its timer is never reached
    following = Notes(store, KEEP, tmp_path)
    await following.start()
    lost = "the server was killed"
    assert await kept(store) == [("id-1", lost), ("id-2", "exit 2"), ("id-3", lost), ("id-4", "")]
    assert sizes(tmp_path) == [0, 0]
    await following.close()


async def test_notes_that_were_stored_already_are_one_entry(store: SqliteStore, tmp_path: Path) -> None:
    """Killed between the commit and forgetting the notes."""
    await store.command_begun(begun(1), KEEP)
    await store.command_ended("id-1", "", 9, "exit 0", 0)
    left = File(tmp_path / "audit-1.notes")
    left.add(begun(1))
    left.add(("id-1", "", 9, "exit 0", 0))
    left.close()
    notes = Notes(store, KEEP, tmp_path)
    await notes.start()
    assert await kept(store) == [("id-1", "exit 0")]
    await notes.close()


async def test_a_note_that_was_cut_short_costs_only_itself(store: SqliteStore, tmp_path: Path) -> None:
    left = File(tmp_path / "audit-2.notes")
    left.add(begun(1))
    left.close()
    whole = (tmp_path / "audit-2.notes").read_bytes()[:-4]
    (tmp_path / "audit-2.notes").write_bytes(whole + b"\0\0\0\1\xc1" + b"\0\0\0\3\x93\1\2" + whole[:-10])
    notes = Notes(store, KEEP, tmp_path)
    await notes.start()
    assert [id for id, _ in await kept(store)] == ["id-1"]
    await notes.close()


async def test_without_a_folder_it_is_stored_all_the_same(store: SqliteStore) -> None:
    notes = Notes(store, KEEP, None)
    await notes.start()
    notes.begun(begun(1))
    await notes.close()
    assert await kept(store) == [("id-1", "")]


async def full(store: SqliteStore, yes: bool) -> None:
    """As if the disk of the database were full."""
    pragma = f"PRAGMA max_page_count = {1 if yes else 1_000_000}"
    await by_itself(lambda: store._write(lambda db, log: db.execute(pragma).fetchone()))


def many(notes: Notes, first: int) -> list[tuple[str, str]]:
    """More than fits the pages there are, begun and ended."""
    numbers = range(first, first + 200)
    for number in numbers:
        notes.begun(begun(number))
        notes.ended((f"id-{number}", "", 9, "exit 0", 0))
    return [(f"id-{number}", "exit 0") for number in numbers]


async def test_what_a_full_disk_does_not_take_is_tried_again_until_it_does(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notes_module, "AGAIN", 0.01)
    notes = Notes(store, 10_000, tmp_path)
    await notes.start()
    await full(store, True)
    told = many(notes, 0)
    await until(lambda: caplog.text.count("is tried again") > 2)
    told += many(notes, 1000)
    assert await kept(store) == []
    await full(store, False)
    await until(lambda: not any(sizes(tmp_path)) or notes._due == [])
    await notes.written()
    assert await kept(store) == told
    await notes.close()


async def test_what_a_full_disk_never_took_is_told_by_the_next_start_with_room(
    store: SqliteStore, tmp_path: Path
) -> None:
    notes = Notes(store, 10_000, tmp_path)
    await notes.start()
    await full(store, True)
    told = many(notes, 0)
    for _ in range(2):
        async with asyncio.timeout(20):
            await notes.close()
        notes = Notes(store, 10_000, tmp_path)
        await notes.start()
    assert await kept(store) == []
    await full(store, False)
    await notes.written()
    assert await kept(store) == told
    await notes.close()


async def test_notes_wait_for_a_full_disk_within_a_bound(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notes_module, "WAITING", 300)
    notes = Notes(store, 10_000, tmp_path)
    await notes.start()
    await full(store, True)
    told = many(notes, 0)
    assert "takes nothing more" in caplog.text
    assert sum(sizes(tmp_path)) == 300
    await full(store, False)
    await notes.written()
    assert await kept(store) == told[:150]
    await notes.close()

"""Reading: pages in every direction, their end, their size; rooms and unread counts."""

import asyncio
from pathlib import Path

import pytest

from tieline.limits import Limits
from tieline.store.chat import Page, RoomState, pair_of, pair_room
from tieline.store.sqlite import SqliteStore


@pytest.fixture
async def ten(either: SqliteStore) -> SqliteStore:
    """A room of ten messages, one every 100 ms, and a neighbour on either side of it."""
    for room in ("a", "lobby", "z"):
        for n in range(1, 11):
            await either.post(room, "ada", f"text {n}", f"{room}{n}", n * 100)
    return either


def positions(page: Page) -> list[int]:
    return [message.position for message in page.messages]


@pytest.mark.parametrize(
    ("question", "found", "end"),
    [
        ({}, [8, 9, 10], False),
        ({"after": 0}, [1, 2, 3], False),
        ({"after": 7}, [8, 9, 10], True),
        ({"after": 8}, [9, 10], True),
        ({"after": 10}, [], True),
        ({"after": 99}, [], True),
        ({"after": -5}, [1, 2, 3], False),
        ({"before": 5}, [2, 3, 4], False),
        ({"before": 4}, [1, 2, 3], True),
        ({"before": 1}, [], True),
        ({"before": -3}, [], True),
        ({"before": 2**63 - 1}, [8, 9, 10], False),
        ({"after": 2**63 - 1}, [], True),
        ({"since": 0}, [1, 2, 3], False),
        ({"since": 800}, [8, 9, 10], True),
        ({"since": 801}, [9, 10], True),
        ({"since": 1001}, [], True),
        ({"since": 2**63 - 1}, [], True),
    ],
)
async def test_a_page_is_what_was_asked_for(
    ten: SqliteStore, question: dict[str, int], found: list[int], end: bool
) -> None:
    page = await ten.history("lobby", limit=3, **question)
    assert (positions(page), page.end) == (found, end)


async def test_a_room_that_is_not_there_is_empty(either: SqliteStore) -> None:
    assert await either.history("nowhere", limit=10) == Page([], True)
    assert await either.history("nowhere", since=5, limit=10) == Page([], True)
    assert await either.head("nowhere") == 0
    assert (await either.rooms("ada", limit=10, cap=10)) == ([], True)


async def test_pages_join_without_gap_whatever_their_size(store: SqliteStore) -> None:
    await asyncio.gather(*(store.post("lobby", "ada", "hi", f"{n}", n) for n in range(300)))
    for limit in (1, 7, 127, 128, 129, 299, 300, 301):
        found: list[int] = []
        while True:
            page = await store.history("lobby", after=found[-1] if found else 0, limit=limit)
            found += positions(page)
            if page.end:
                break
        assert found == list(range(1, 301))


@pytest.mark.parametrize("question", [{"after": 0}, {}])
async def test_a_page_of_long_messages_is_cut_and_says_so(tmp_path: Path, question: dict[str, int]) -> None:
    async with SqliteStore(tmp_path, limits=Limits(page_bytes=1000)) as store:
        for n in range(5):
            await store.post("lobby", "ada", "é" * 200, f"{n}", 0)
        page = await store.history("lobby", limit=100, **question)
        assert (positions(page), page.end) == ([1, 2] if question else [4, 5], False)
        await store.post("lobby", "ada", "x" * 5000, "long", 0)
        page = await store.history("lobby", limit=100)
        assert (positions(page), page.end) == ([6], False), "one message always fits"


async def test_times_are_found_in_rooms_of_every_length(store: SqliteStore) -> None:
    for length in range(1, 20):
        for n in range(length):
            await store.post(f"r{length}", "ada", "hi", f"{length}-{n}", n // 2 * 10)
        for since in (-1, 0, 1, 9, 10, 11, 50, 95, 200):
            page = await store.history(f"r{length}", since=since, limit=1000)
            assert positions(page) == [n + 1 for n in range(length) if n // 2 * 10 >= since]


async def test_unread_leaves_out_my_own_and_is_capped(either: SqliteStore) -> None:
    for n in range(6):
        await either.post("lobby", "bob" if n % 2 else "ada", "hi", f"{n}", 100 + n)
    assert await either.rooms("ada", limit=10, cap=10) == ([RoomState("lobby", 6, 105, 3)], True)
    assert await either.mark_read("lobby", "ada", 2) == 2
    assert (await either.rooms("ada", limit=10, cap=10))[0][0].unread == 2
    assert (await either.rooms("eve", limit=10, cap=4))[0][0].unread == 4


async def test_a_read_marker_only_moves_forward(either: SqliteStore) -> None:
    assert await either.mark_read("lobby", "ada", 5) == 0
    for n in range(4):
        await either.post("lobby", "bob", "hi", f"{n}", 0)
    assert [await either.mark_read("lobby", "ada", to) for to in (2, 1, 3, -1, 99)] == [2, 2, 3, 3, 4]


async def test_a_message_read_alone_moves_the_marker_only_when_nothing_before_it_is_unread(either: SqliteStore) -> None:
    assert await either.mark_read("lobby", "ada", 1, alone=True) == 0
    for n, by in enumerate(("ada", "bob", "ada", "bob", "bob", "bob")):
        await either.post("lobby", by, "hi", f"{n}", 0)
    await either.post("z", "bob", "hi", "7", 0)
    moves = [await either.mark_read("lobby", "ada", to, alone=True) for to in (4, 2, 4, 6, 1, 99)]
    assert moves == [0, 2, 4, 4, 4, 4]
    assert await either.mark_read("lobby", "ada", 5) == 5
    assert await either.mark_read("lobby", "ada", 6, alone=True) == 6


async def test_a_pair_is_seen_by_the_two_only(either: SqliteStore) -> None:
    room = pair_room("bob", "ada")
    assert (room, pair_of(room), pair_of("lobby")) == ("@ada+bob", ("ada", "bob"), None)
    await either.post(room, "ada", "psst", "1", 0)
    await either.set_topic_line("lobby", "what is new")
    seen = {
        name: [room.name for room in (await either.rooms(name, limit=10, cap=10))[0]] for name in ("ada", "bob", "eve")
    }
    assert seen == {"ada": [room, "lobby"], "bob": [room, "lobby"], "eve": ["lobby"]}
    assert await either.topic_line("lobby") == "what is new"


async def test_rooms_come_in_pages(either: SqliteStore) -> None:
    for n in range(5):
        await either.post(f"r{n}", "ada", "hi", f"{n}", 0)
    first, end = await either.rooms("ada", limit=3, cap=1)
    assert ([room.name for room in first], end) == (["r0", "r1", "r2"], False)
    rest, end = await either.rooms("ada", after="r2", limit=3, cap=1)
    assert ([room.name for room in rest], end) == (["r3", "r4"], True)

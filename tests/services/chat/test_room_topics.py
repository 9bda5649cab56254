"""Topics and commits that cross each other: a store that answers when the test says so."""

import asyncio
from typing import Any

import pytest

from tieline.limits import DEFAULT
from tieline.services.chat.presence import Presence
from tieline.services.chat.room_topics import RoomTopics
from tieline.store.chat import Committed, Message, Page, Post, Posted


class SlowStore:
    """`head()` answers what it is told, when it is told."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[int]] = []
        self.log: list[Message] = []

    async def head(self, room: str) -> int:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]

    async def history(self, room: str, *, after: int, limit: int, **_: object) -> Page:
        return Page(self.log[after : after + limit], True)


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def rooms(store: SlowStore) -> RoomTopics:
    slow: Any = store
    return RoomTopics(slow, Presence(DEFAULT, lambda: 0.0), DEFAULT)


def commit(*positions: int) -> Committed:
    return {"lobby": [Post("lobby", "ada", "hi", f"{n}", 0, outcome=Posted(n, 0)) for n in positions]}


async def asked(store: SlowStore, times: int = 1) -> None:
    while len(store.asked) < times:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_commit_told_while_the_head_is_on_its_way_is_counted(store: SlowStore, rooms: RoomTopics) -> None:
    opening = asyncio.ensure_future(rooms.topic("lobby"))
    await asked(store)
    store.asked[0].set_result(5)
    rooms.committed(commit(6, 7))  # after the answer, before the one who asked goes on
    assert (await opening).position == 7


async def test_a_commit_the_head_counts_already_is_not_published_again(store: SlowStore, rooms: RoomTopics) -> None:
    opening = asyncio.ensure_future(rooms.topic("lobby"))
    await asked(store)
    store.asked[0].set_result(6)
    topic = await opening
    follower: Any = object()
    topic.subscribers.add(follower)
    rooms.committed(commit(5, 6, 7))
    assert topic.position == 7


async def test_two_who_open_at_once_get_one_topic(store: SlowStore, rooms: RoomTopics) -> None:
    both = asyncio.gather(rooms.topic("lobby"), rooms.topic("lobby"))
    await asked(store, 2)
    store.asked[1].set_result(3)
    await asyncio.sleep(0)
    store.asked[0].set_result(3)
    first, second = await both
    assert first is second


async def test_a_room_that_was_seen_is_opened_without_asking(store: SlowStore, rooms: RoomTopics) -> None:
    rooms.committed(commit(1, 2))
    assert (await rooms.topic("lobby")).position == 2
    assert store.asked == []


async def test_a_topic_nobody_follows_is_let_go(store: SlowStore, rooms: RoomTopics) -> None:
    rooms.committed(commit(1))
    first = await rooms.topic("lobby")
    rooms.committed(commit(2))
    second = await rooms.topic("lobby")
    assert (first is second, first.position, second.position) == (False, 1, 2)


async def test_the_log_is_read_no_further_than_was_published(store: SlowStore, rooms: RoomTopics) -> None:
    rooms.committed(commit(1, 2))
    store.log = [post.message() for post in commit(1, 2, 3)["lobby"]]  # the third is on disk, and told in a moment
    topic = await rooms.topic("lobby")
    assert topic._read is not None
    assert [position for position, _ in await topic._read(0, 10)] == [1, 2]
    assert await topic._read(2, 10) == []


async def test_rooms_that_are_only_named_do_not_fill_the_memory(
    store: SlowStore, rooms: RoomTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tieline.services.chat.room_topics._HEADS_HELD", 3)
    for n in range(10):
        asking = asyncio.ensure_future(rooms.head(f"room{n}"))
        await asked(store, n + 1)
        store.asked[n].set_result(n)
        assert await asking == n
    assert len(rooms._heads) <= 4

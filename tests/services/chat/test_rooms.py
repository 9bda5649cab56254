"""Entering, history, the list of rooms, read markers, topic lines."""

import asyncio

import pytest

from tieline.errors import InvalidArgument
from tieline.limits import Limits

from ..conftest import NOON, House
from .conftest import hear, say, silence


async def test_entering_shows_the_last_messages_and_then_what_comes(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    await say(ada, "one", "two", "three")
    await ada.call("chat.topic", room="lobby", text="what is new")
    events = bob.subscribe("room/lobby")
    snapshot = await events.open("chat.enter", room="lobby", last=2)
    assert [m["text"] for m in snapshot.pop("messages")] == ["two", "three"]
    assert snapshot == {
        "topic": "room/lobby",
        "position": 3,
        "end": False,
        "here": ["bob"],
        "count": 1,
        "topic_line": "what is new",
    }
    await say(ada, "four")
    assert [(e.position, e.value["text"]) for e in await hear(events, 1)] == [(4, "four")]
    assert await silence(bob, events)


async def test_nothing_is_lost_or_doubled_between_snapshot_and_events(house: House) -> None:
    """Thirty callers enter, one after every ten messages, while two authors never stop."""
    said = 0
    # Waited for, not looked at again and again: thirty who spin would keep the interpreter from the store's thread.
    reached = {many: asyncio.Event() for many in range(0, 300, 10)}
    reached[0].set()

    async def talk(name: str) -> None:
        nonlocal said
        author = house.login(name)
        for n in range(150):
            await say(author, f"{name} {n}")
            said += 1
            if said in reached:
                reached[said].set()

    async def enter_after(many: int) -> list[int]:
        await reached[many].wait()
        eve = house.login("eve")
        events = eve.subscribe("room/lobby")
        snapshot = await events.open("chat.enter", room="lobby", last=1000)
        positions = [m["position"] for m in snapshot["messages"]]
        assert snapshot["position"] == len(positions)
        positions += [e.position for e in await hear(events, 300 - len(positions))]
        assert await silence(eve, events)
        return positions

    entering = asyncio.gather(*map(enter_after, reached))
    await asyncio.gather(talk("ada"), talk("bob"))
    for positions in await entering:
        assert positions == list(range(1, 301))


@pytest.mark.parametrize("last", [0, 5])
async def test_an_empty_room_can_be_entered(house: House, last: int) -> None:
    bob = house.login("bob")
    events = bob.subscribe("room/new")
    snapshot = await events.open("chat.enter", room="new", last=last)
    assert (snapshot["messages"], snapshot["position"], snapshot["end"]) == ([], 0, True)
    await say(house.login("ada"), "first", room="new")
    assert [e.position for e in await hear(events, 1)] == [1]


async def test_history_goes_both_ways_and_says_where_it_ends(house: House) -> None:
    ada = house.login("ada")
    await say(ada, *(f"{n}" for n in range(1, 8)))

    async def page(**question: int) -> tuple[list[int], bool]:
        answer = await ada.call("chat.history", room="lobby", **question)
        return [m["position"] for m in answer["messages"]], answer["end"]

    assert await page() == ([1, 2, 3, 4, 5, 6, 7], True)
    assert await page(limit=3) == ([5, 6, 7], False)
    assert await page(limit=3, before=5) == ([2, 3, 4], False)
    assert await page(limit=3, before=2) == ([1], True)
    assert await page(limit=3, after=4) == ([5, 6, 7], True)
    assert await page(since=int(NOON * 1000)) == ([1, 2, 3, 4, 5, 6, 7], True)
    assert await page(since=int(NOON * 1000) + 1) == ([], True)
    assert await page(after=1 << 53, limit=1 << 53) == ([], True)


@pytest.mark.parametrize(
    "question", [{"after": 1, "before": 2}, {"after": -1}, {"since": 1 << 63}, {"limit": -1}, {"after": "1"}]
)
async def test_questions_that_make_no_sense_are_refused(house: House, question: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        await house.login("ada").call("chat.history", room="lobby", **question)


@pytest.mark.parametrize("limits", [Limits(page=4)])
async def test_a_page_holds_no_more_than_its_limit(house: House) -> None:
    ada = house.login("ada")
    await say(ada, *(f"{n}" for n in range(6)))
    answer = await ada.call("chat.history", room="lobby", limit=1000)
    assert (len(answer["messages"]), answer["end"]) == (4, False)


async def test_a_page_of_the_longest_messages_fits_a_frame(house: House) -> None:
    ada = house.login("ada")
    await say(ada, *(f"{n:05}" + "x" * 65000 for n in range(40)))
    found: list[int] = []
    while not found or found[0] > 1:
        answer = await ada.call("chat.history", room="lobby", before=found[0] if found else None, limit=1000)
        found = [m["position"] for m in answer["messages"]] + found
    assert (found, answer["end"]) == (list(range(1, 41)), True)


async def test_rooms_tell_what_is_unread_until_it_is_read(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    await say(ada, "one", "two")
    await say(bob, "mine")
    await say(ada, "else", room="kitchen")
    answer = await bob.call("chat.rooms")
    at = int(NOON * 1000)
    assert answer == {
        "rooms": [
            {"name": "kitchen", "position": 1, "at": at, "unread": 1, "topic_line": ""},
            {"name": "lobby", "position": 3, "at": at, "unread": 2, "topic_line": ""},
        ],
        "end": True,
    }
    assert await bob.call("chat.read", room="lobby", position=3, alone=True) == {"position": 0}
    assert await bob.call("chat.read", room="lobby", position=1) == {"position": 1}
    assert await bob.call("chat.read", room="lobby", position=0) == {"position": 1}
    assert [room["unread"] for room in (await bob.call("chat.rooms"))["rooms"]] == [1, 1]
    assert await bob.call("chat.read", room="lobby", position=99) == {"position": 3}
    assert [room["unread"] for room in (await bob.call("chat.rooms"))["rooms"]] == [1, 0]


async def test_a_topic_line_is_one_short_line(house: House) -> None:
    ada = house.login("ada")
    assert await ada.call("chat.topic", room="lobby") == {"topic_line": ""}
    assert await ada.call("chat.topic", room="lobby", text="builds, and why") == {"topic_line": "builds, and why"}
    assert await ada.call("chat.topic", room="lobby") == {"topic_line": "builds, and why"}
    for text in ("two\nlines", "x" * 513):
        with pytest.raises(InvalidArgument):
            await ada.call("chat.topic", room="lobby", text=text)
    assert await ada.call("chat.topic", room="lobby", text="") == {"topic_line": ""}

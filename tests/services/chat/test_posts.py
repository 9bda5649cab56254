"""Saying something, and hearing it."""

import asyncio

import pytest

from tieline.errors import Denied, InvalidArgument
from tieline.limits import Limits

from ..conftest import NOON, House
from .conftest import hear, say, silence


async def test_a_post_is_answered_and_heard(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    events = bob.subscribe("room/lobby")
    await events.open()
    posted = await ada.call("chat.post", room="lobby", text="hello", id="1")
    assert posted == {"position": 1, "at": int(NOON * 1000)}
    [event] = await hear(events, 1)
    assert (event.topic, event.position) == ("room/lobby", 1)
    assert event.value == {"position": 1, "at": int(NOON * 1000), "by": "ada", "text": "hello", "id": "1"}


async def test_a_retry_is_the_same_message_and_heard_once(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    events = bob.subscribe("room/lobby")
    await events.open()
    first = await ada.call("chat.post", room="lobby", text="hello", id="1")
    again = await house.login("ada", device="phone").call("chat.post", room="lobby", text="hello", id="1")
    assert again == {**first, "duplicate": True}
    await hear(events, 1)
    assert await silence(bob, events)


async def test_everybody_hears_everything_in_the_same_order(house: House) -> None:
    peers = [house.login(name) for name in ("ada", "bob", "eve")]
    feeds = [peer.subscribe("room/lobby") for peer in peers]
    for feed in feeds:
        await feed.open()
    await asyncio.gather(*(say(peer, *(f"{peer.identity.account} {n}" for n in range(200))) for peer in peers))
    heard = [[(e.position, e.value["text"]) for e in await hear(feed, 600)] for feed in feeds]
    assert heard[0] == heard[1] == heard[2]
    assert [position for position, _ in heard[0]] == list(range(1, 601))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"text": ""}, "nothing in it"),
        ({"text": "é" * 32769}, "65,538 bytes, the limit is 65,536"),
        ({"id": ""}, "1 to 64"),
        ({"id": "x" * 65}, "1 to 64"),
        ({"room": ""}, "room name"),
        ({"room": "Lobby"}, "lower case"),
        ({"room": "a/b"}, "room name"),
        ({"room": "a" * 65}, "limit is 64"),
        ({"room": "@"}, "account name"),
        ({"text": 5}, "text"),
    ],
)
async def test_what_cannot_be_posted_is_refused_by_name(house: House, wrong: dict[str, object], sentence: str) -> None:
    post = {"room": "lobby", "text": "hi", "id": "1"} | wrong
    with pytest.raises(InvalidArgument, match=sentence):
        await house.login("ada").call("chat.post", **post)


async def test_the_longest_text_is_accepted(house: House) -> None:
    ada = house.login("ada")
    await say(ada, "é" * 32768)
    page = await ada.call("chat.history", room="lobby")
    assert page["messages"][0]["text"] == "é" * 32768


async def test_chat_needs_its_scope(house: House) -> None:
    stranger = house.login("bob", "files.read")
    for method in ("chat.post", "chat.history", "chat.enter", "chat.rooms", "chat.who", "chat.topic", "chat.read"):
        with pytest.raises(Denied):
            await stranger.call(method)
    for topic in ("room/lobby", "presence/lobby"):
        with pytest.raises(Denied):
            await stranger.subscribe(topic).open()


@pytest.mark.parametrize("limits", [Limits(topic_tail=2000, subscribe_page=7)])
async def test_a_late_follower_reads_on_from_the_store(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    early = bob.subscribe("room/lobby")
    await early.open()
    await say(ada, *(f"text {n}" for n in range(100)))
    assert [e.position for e in await hear(early, 100)] == list(range(1, 101))
    late = house.login("eve").subscribe("room/lobby", after=3)
    assert [e.position for e in await hear(late, 97)] == list(range(4, 101))


async def test_a_room_nobody_follows_any_more_is_followed_again_without_a_gap(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    for turn in range(3):
        events = bob.subscribe("room/lobby", after=turn * 2)
        await events.open()
        await say(ada, f"{turn} while followed")
        await hear(events, 1)
        await events.aclose()
        await bob.call("echo.say", value=None)
        await say(ada, f"{turn} while nobody listens")
    events = bob.subscribe("room/lobby", after=0)
    assert [e.position for e in await hear(events, 6)] == [1, 2, 3, 4, 5, 6]

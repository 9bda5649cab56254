"""The inbox: what others write to one, as it comes, for nobody else's eyes."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieline.errors import Denied
from tieline.limits import DEFAULT
from tieline.rpc.peer import Peer
from tieline.services.chat.inboxes import Inboxes
from tieline.store.sqlite import SqliteStore

from ..conftest import House
from .conftest import hear, say, silence

NAMES = ("ada", "bob", "eve")


async def follow(peer: Peer, topic: str = "inbox", after: int | None = None) -> Any:
    events = peer.subscribe(topic, after=after)
    await events.open()
    return events


async def test_a_direct_message_is_heard_without_watching_its_room(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    inbox = await follow(bob)
    assert inbox.topic == "inbox/bob"
    await say(ada, "psst", room="@bob")
    [event] = await hear(inbox, 1)
    assert event.value["room"] == "@ada"
    [stored] = (await bob.call("chat.history", room="@ada"))["messages"]
    assert event.value["message"] == stored


async def test_neither_open_rooms_nor_what_one_says_oneself_are_in_it(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    inbox = await follow(bob)
    await say(ada, "to all")
    await say(bob, "to ada", room="@ada")
    await say(bob, "to myself", room="@bob")
    assert await silence(bob, inbox)


async def test_each_device_hears_it(house: House) -> None:
    ada, laptop, phone = house.login("ada"), house.login("bob"), house.login("bob", device="phone")
    inboxes = [await follow(laptop), await follow(phone, "inbox/bob")]
    await say(ada, "psst", room="@bob")
    for inbox in inboxes:
        [event] = await hear(inbox, 1)
        assert event.value["message"]["text"] == "psst"


@pytest.mark.parametrize("admin", [False, True])
async def test_nobody_else_may_follow_it(house: House, admin: bool) -> None:
    eve = house.login("eve", *(["admin"] if admin else []))
    for topic in ("inbox/bob", "inbox/", "inbox/nobody", "inboxes", "inbox/eve/", "inbox/@eve"):
        with pytest.raises(Denied, match="owner"):
            await follow(eve, topic)


async def test_guests_have_none_even_under_the_name_of_an_account(house: House) -> None:
    for name in ("guest-1", "ada"):
        with pytest.raises(Denied, match="guests"):
            await follow(house.login(name, guest=True))


async def test_who_may_not_chat_has_none(house: House) -> None:
    with pytest.raises(Denied, match="scope"):
        await follow(house.login("bob", "files"))


async def test_a_retried_message_comes_once(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    inbox = await follow(bob)
    await say(ada, "psst", room="@bob")
    await say(ada, "psst", room="@bob")
    assert len(await hear(inbox, 1)) == 1
    assert await silence(bob, inbox)


async def test_who_comes_back_hears_what_is_new_and_nothing_from_before(house: House) -> None:
    """The clock stands still: positions go on from those that were, or a client would take new messages for old."""
    ada, bob = house.login("ada"), house.login("bob")
    inbox = await follow(bob)
    await say(ada, "one", "two", room="@bob")
    last = (await hear(inbox, 2))[-1].position
    await inbox.aclose()
    await bob.call("echo.say", value=None)
    await say(ada, "missed", room="@bob")
    again = await follow(bob, after=last)
    await say(ada, "three", room="@bob")
    [event] = await hear(again, 1)
    assert event.value["message"]["text"] == "three"
    assert event.position > last
    [room] = (await bob.call("chat.rooms"))["rooms"]
    assert (room["name"], room["unread"]) == ("@ada", 4)


async def test_who_comes_back_after_the_clock_was_set_back_hears_what_is_new(house: House) -> None:
    """As with a server that was started again, its inboxes forgotten, once its clock was right."""
    ada, bob = house.login("ada"), house.login("bob")
    year_ahead = int((house.now + 365 * 86_400) * 1_000_000)
    again = await follow(bob, after=year_ahead)
    await say(ada, "three", room="@bob")
    [event] = await hear(again, 1)
    assert event.value["message"]["text"] == "three"


async def test_positions_stay_whole_numbers_for_every_client() -> None:
    year_2200 = 7_258_118_400.0
    inboxes = Inboxes(DEFAULT, lambda: year_2200)
    assert inboxes._make("ada").position < 1 << 53, "those of JavaScript"


async def test_an_inbox_nobody_follows_is_let_go(house: House) -> None:
    inboxes = Inboxes(DEFAULT, lambda: 1.0)
    house.topics.add_family("inbox/", inboxes.open)
    bob = house.login("bob")
    inbox = await follow(bob, "inbox/bob")
    assert list(inboxes._topics) == ["bob"]
    await inbox.aclose()
    await bob.call("echo.say", value=None)
    assert inboxes._topics == {}
    await follow(bob, "inbox/bob")
    await bob.close()
    async with asyncio.timeout(5):
        while inboxes._topics:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_one_that_was_asked_for_and_never_followed_is_let_go_with_the_next_message(house: House) -> None:
    inboxes = Inboxes(DEFAULT, lambda: 1.0)
    await inboxes.open("inbox", house.login("bob"))
    house.store.on_committed = inboxes.committed
    await say(house.login("ada"), "psst", room="@bob")
    assert inboxes._topics == {}


posts = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("lobby", *NAMES))), max_size=60)


@given(posts, st.sets(st.sampled_from(NAMES)))
@settings(max_examples=25, deadline=None)
def test_each_direct_message_is_in_the_inbox_of_the_one_it_is_for_once_and_in_order(
    spoken: list[tuple[str, str]], followers: set[str]
) -> None:
    async def story() -> None:
        async with SqliteStore(":memory:") as store:
            house = House(store, DEFAULT)
            await house.account(*NAMES)
            peers = {name: house.login(name) for name in NAMES}
            inboxes = {name: await follow(peers[name]) for name in followers}
            await asyncio.gather(
                *(
                    peers[by].call("chat.post", room=to if to == "lobby" else f"@{to}", text=f"{by} {to}", id=str(n))
                    for n, (by, to) in enumerate(spoken)
                )
            )
            for name, inbox in inboxes.items():
                wanted = [n for n, (by, to) in enumerate(spoken) if to == name != by]
                heard = [event.value for event in await hear(inbox, len(wanted))]
                assert sorted(int(value["message"]["id"]) for value in heard) == wanted
                assert {value["message"]["text"].split()[1] for value in heard} <= {name}
                for room in {value["room"] for value in heard}:
                    of_room = [value["message"] for value in heard if value["room"] == room]
                    assert {message["by"] for message in of_room} == {room[1:]}
                    positions = [message["position"] for message in of_room]
                    assert positions == sorted(positions)
                assert await silence(peers[name], inbox)
            await house.close()

    asyncio.run(story())

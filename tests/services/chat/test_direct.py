"""Direct messages: one room for the two, and for nobody else."""

import pytest

from tieline.errors import CallError, Denied, InvalidArgument, NotFound

from ..conftest import House
from .conftest import hear, say


async def test_both_see_one_room_under_each_others_name(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    events = bob.subscribe("room/@ada")
    await events.open()
    assert events.topic == "room/@ada+bob"
    assert await say(ada, "psst", room="@bob") == [1]
    assert await say(bob, "yes?", room="@ada") == [2]
    assert [(e.value["by"], e.value["text"]) for e in await hear(events, 2)] == [("ada", "psst"), ("bob", "yes?")]
    for peer, other in ((ada, "bob"), (bob, "ada")):
        page = await peer.call("chat.history", room=f"@{other}")
        assert [m["text"] for m in page["messages"]] == ["psst", "yes?"]
        assert [room["name"] for room in (await peer.call("chat.rooms"))["rooms"]] == [f"@{other}"]
        assert page == await peer.call("chat.history", room="@ada+bob")


@pytest.mark.parametrize("admin", [False, True])
async def test_a_third_can_neither_read_write_follow_nor_watch(house: House, admin: bool) -> None:
    ada = house.login("ada")
    await say(ada, "psst", room="@bob")
    eve = house.login("eve", "admin" if admin else "chat")
    for room in ("@ada+bob", "@bob+ada"):
        for method, more in (
            ("chat.post", {"text": "hi", "id": "1"}),
            ("chat.history", {}),
            ("chat.enter", {}),
            ("chat.who", {}),
            ("chat.topic", {"text": "mine now"}),
            ("chat.read", {"position": 1}),
        ):
            with pytest.raises(Denied, match="the two"):
                await eve.call(method, room=room, **more)
        for topic in (f"room/{room}", f"presence/{room}"):
            with pytest.raises(Denied, match="the two"):
                await eve.subscribe(topic).open()
    assert (await eve.call("chat.rooms"))["rooms"] == []


@pytest.mark.parametrize("room", ["@bob+ada", "@ada+", "@+ada", "@ada+bob+eve", "@ada+ada+bob", "@+", "@@bob", "@bob "])
async def test_there_is_one_way_to_write_a_pair(house: House, room: str) -> None:
    with pytest.raises((Denied, InvalidArgument, NotFound)):
        await house.login("ada").call("chat.post", room=room, text="hi", id="1")
    with pytest.raises(CallError):
        await house.login("ada").subscribe(f"room/{room}").open()


async def test_the_other_must_exist(house: House) -> None:
    ada = house.login("ada")
    for room in ("@nobody", "@ada+nobody"):
        with pytest.raises(NotFound, match="no account 'nobody'"):
            await ada.call("chat.post", room=room, text="hi", id="1")
    await house.account("nobody")
    assert await say(ada, "now there is", room="@nobody") == [1]


async def test_direct_messages_can_be_listed_by_themselves(house: House) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    await say(ada, "hi", room="1st")
    await say(ada, "hi", room="lobby")
    for room in ("@bob", "@ada", "@eve"):
        await say(ada, "hi", room=room)
    found = (await ada.call("chat.rooms", after="@", limit=3))["rooms"]
    assert [room["name"] for room in found] == ["@ada", "@bob", "@eve"]
    found = (await bob.call("chat.rooms", after="@"))["rooms"]
    assert [(room["name"], room["unread"]) for room in found] == [("@ada", 1), ("lobby", 1)]


async def test_guests_have_no_direct_messages(house: House) -> None:
    # Even one who could take the name of an account sees nothing of it.
    for name in ("guest-1", "ada"):
        guest = house.login(name, guest=True)
        assert await say(guest, f"hello from {name}") != []
        for room in ("@bob", "@ada+bob", "@guest-1+bob"):
            with pytest.raises(Denied, match="guests"):
                await guest.call("chat.post", room=room, text="hi", id="1")
            with pytest.raises(Denied, match="guests"):
                await guest.subscribe(f"room/{room}").open()


async def test_notes_to_oneself_are_fine(house: House) -> None:
    ada = house.login("ada")
    assert await say(ada, "buy milk", room="@ada") == [1]
    assert [room["name"] for room in (await ada.call("chat.rooms"))["rooms"]] == ["@ada"]

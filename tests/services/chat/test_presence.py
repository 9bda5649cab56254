"""Who is here: by account, at once when it is quiet, gathered when it is not, and always right in the end."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tieline.limits import Limits
from tieline.rpc.peer import Peer
from tieline.services.chat.presence import Here, Presence

from ..conftest import NOON, House
from .conftest import hear, silence

QUICK = Limits(presence_pause=0.005)


async def watch(peer: Peer, room: str = "lobby") -> Any:
    events = peer.subscribe(f"presence/{room}")
    await events.open()
    return events


async def until(events: Any, here: list[str]) -> dict[str, Any]:
    """Read on until these are here."""
    async with asyncio.timeout(10):
        while True:
            event = await anext(events)
            if event.value["here"] == here:
                return event.value  # type: ignore[no-any-return]


@pytest.mark.parametrize("limits", [QUICK])
async def test_who_follows_a_room_is_here_until_the_link_ends(house: House) -> None:
    watcher, ada, bob = house.login("eve"), house.login("ada"), house.login("bob")
    events = await watch(watcher)
    assert [e.value for e in await hear(events, 1)] == [{"here": [], "count": 0}]
    following = ada.subscribe("room/lobby")
    await following.open()
    await until(events, ["ada"])
    await bob.call("chat.enter", room="lobby")
    assert await until(events, ["ada", "bob"]) == {"here": ["ada", "bob"], "count": 2}
    assert await watcher.call("chat.who", room="lobby") == {"here": ["ada", "bob"], "count": 2}
    await bob.close()
    await until(events, ["ada"])
    await following.aclose()
    await until(events, [])


@pytest.mark.parametrize("limits", [QUICK])
async def test_two_devices_are_one_person(house: House) -> None:
    watcher, laptop, phone = house.login("eve"), house.login("ada"), house.login("ada", device="phone")
    events = await watch(watcher)
    for device in (laptop, phone):
        await device.call("chat.enter", room="lobby")
    await until(events, ["ada"])
    await laptop.close()
    assert await silence(watcher, events)
    assert (await watcher.call("chat.who", room="lobby"))["count"] == 1
    await phone.close()
    await until(events, [])


@pytest.mark.parametrize("limits", [Limits(presence_pause=0.005, here=3)])
async def test_a_full_room_lists_some_and_counts_all(house: House) -> None:
    for n in range(5):
        await house.login(f"user{n}").call("chat.enter", room="lobby")
    assert await house.login("eve").call("chat.who", room="lobby") == {"here": ["user0", "user1", "user2"], "count": 5}


@pytest.mark.parametrize("limits", [QUICK])
async def test_a_watcher_who_comes_back_hears_what_is_new(house: House) -> None:
    """Positions of a presence topic never begin anew, or a client would take new values for old ones."""
    watcher = house.login("eve")
    events = await watch(watcher)
    [last] = await hear(events, 1)
    await events.aclose()
    await watcher.call("echo.say", value=None)
    house.now += 1
    again = watcher.subscribe("presence/lobby", after=last.position)
    [event] = await hear(again, 1)
    assert event.position > last.position


@pytest.mark.parametrize("limits", [QUICK])
async def test_a_watcher_from_before_the_clock_was_set_back_hears_who_is_here(house: House) -> None:
    watcher = house.login("eve")
    events = await watch(watcher)
    [last] = await hear(events, 1)
    await events.aclose()
    await watcher.call("echo.say", value=None)
    house.now -= 365 * 86_400
    again = watcher.subscribe("presence/lobby", after=last.position)
    [event] = await hear(again, 1)
    assert event.position < last.position
    await house.login("ada").call("chat.enter", room="lobby")
    await house.login("ada").subscribe("room/lobby").open()
    assert (await hear(again, 1))[0].value["here"] == ["ada"]


class Published(Presence):
    """Presence with one watched room, whose topic only notes what is published."""

    def __init__(self, pause: float) -> None:
        super().__init__(Limits(presence_pause=pause), lambda: NOON)
        self.values: list[Here] = []
        self._topics["lobby"] = self  # type: ignore[assignment]
        self.subscribers = {self}

    def publish(self, value: Here) -> None:
        self.values.append(value)


async def test_a_crowd_is_published_at_most_once_in_each_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Callable[[], None]] = []
    monkeypatch.setattr(
        asyncio.get_running_loop(), "call_later", lambda delay, do, *args: planned.append(lambda: do(*args))
    )
    presence = Published(0.2)
    for n in range(1000):
        presence.moved("lobby", f"user{n:04}", came=True)
    assert [value.count for value in presence.values] == [1], "the first at once"
    planned.pop()()
    assert [value.count for value in presence.values] == [1, 1000], "and all others together"
    planned.pop()()
    assert planned == [], "quiet again: no timer runs"
    presence.moved("lobby", "user0001", came=False)
    assert [value.count for value in presence.values] == [1, 1000, 999]


async def test_only_people_are_news_not_their_links() -> None:
    presence = Published(0)
    for came in (True, True, False, True, False, False):
        presence.moved("lobby", "ada", came=came)
        await asyncio.sleep(0.001)
    assert [value.here for value in presence.values] == [["ada"], []]

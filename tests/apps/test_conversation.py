"""`tieline chat` without a terminal and without sockets: what is typed goes in, what is shown is waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

import tieline
from tieline import testing
from tieline.apps.cli import read_marker
from tieline.apps.cli.conversation import Conversation


class Screen:
    """Shows lines to whoever waits for them."""

    def __init__(self) -> None:
        self.prompt = ""
        self.columns: int | None = None
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.keyboard: asyncio.Queue[str | None] = asyncio.Queue()

    def show(self, line: str) -> None:
        self.lines.put_nowait(line)

    async def typed(self) -> AsyncIterator[str]:
        while (line := await self.keyboard.get()) is not None:
            yield line

    def type(self, *lines: str | None) -> None:
        for line in lines:
            self.keyboard.put_nowait(line)

    async def sees(self, words: str) -> list[str]:
        """The lines up to and with the one that has these words, without styles."""
        seen: list[str] = []
        try:
            async with asyncio.timeout(10):
                while not seen or words not in seen[-1]:
                    seen.append((await self.lines.get()).replace("\x1b[1m", "").replace("\x1b[0m", ""))
        except TimeoutError:
            raise AssertionError(f"no {words!r} in {seen}") from None
        return seen


class Joined:
    """A peer where a client is expected."""

    def __init__(self, peer: tieline.Peer) -> None:
        self._peer = peer
        self.on_link: Callable[[str], None] | None = None
        self.refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def over(self) -> None:
        await self.refused

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name)


class House:
    """A server, people at it, and people who talk."""

    def __init__(self, server: tieline.Server, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack
        self.talks: list[tuple[Screen, asyncio.Task[None]]] = []
        self.clients: dict[str, Joined] = {}

    async def peer(self, name: str) -> tieline.Peer:
        return await self._stack.enter_async_context(testing.connect(self._server, account=name))

    async def talk(self, name: str, room: str = "lobby", told: str = "") -> Screen:
        """Somebody who is in the room, and was `told` something on coming in."""
        client: Any = Joined(await self.peer(name))
        self.clients[name] = client
        screen = Screen()
        self.talks.append((screen, asyncio.create_task(Conversation(client, screen, 5.0).run(room))))
        screen.type("/who", "/who")  # answered after whatever is followed on coming in
        seen = [line for _ in range(3) for line in await screen.sees(" here")]
        if told and told not in seen:
            await screen.sees(told)
        return screen


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with testing.server() as server, AsyncExitStack() as stack:
        house = House(server, stack)
        for name in ("ada", "bob", "eve"):
            await house.peer(name)
        yield house
        for screen, talk in house.talks:
            screen.type(None)
            await talk


async def post(peer: tieline.Peer, room: str, *texts: str) -> None:
    for text in texts:
        await peer.call("chat.post", room=room, text=text, id=text)


async def unread(peer: tieline.Peer) -> dict[str, int]:
    return {room["name"]: room["unread"] for room in (await peer.call("chat.rooms"))["rooms"]}


async def reads(peer: tieline.Peer, wanted: dict[str, int]) -> None:
    """Wait until that is what is unread."""
    async with asyncio.timeout(10):
        while await unread(peer) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def without_time(lines: list[str]) -> list[str]:
    return [line if line.startswith("*") else line.partition(" ")[2] for line in lines]


async def test_a_direct_message_finds_one_wherever_one_is(house: House) -> None:
    ada, bob = await house.talk("ada"), await house.talk("bob", "builds")
    ada.type("/msg bob psst", "/msg @bob again")
    assert without_time(await bob.sees("again")) == [
        "ada (to you): psst",
        "* only you can read that; answer with /msg ada …",
        "ada (to you): again",
    ]
    assert (await ada.sees("to bob: again")).count("* to bob: psst") == 1
    bob.type("/msg ada what?")
    assert without_time(await ada.sees("what?")) == ["bob (to you): what?"]


@pytest.mark.parametrize("name", ["@ada", "@ada+bob"])
async def test_in_the_room_of_the_two_a_direct_message_is_shown_once(house: House, name: str) -> None:
    ada, bob = await house.peer("ada"), await house.talk("bob", name)
    await post(ada, "@bob", "one", "two")
    assert without_time(await bob.sees("two")) == ["ada: one", "ada: two"]
    bob.type("/msg ada three", "/join lobby")
    assert without_time(await bob.sees("here"))[:1] == ["bob: three"], "and not once more as what one said to her"
    await post(ada, "@bob", "four")
    assert without_time(await bob.sees("four")) == ["ada (to you): four"]


async def test_coming_and_going_loses_and_doubles_no_direct_message(house: House) -> None:
    ada, bob = await house.peer("ada"), await house.talk("bob")
    bob.type(*["/join @ada", "/join lobby"] * 10)
    for number in range(200):
        await post(ada, "@bob", f"line {number}.")
        await asyncio.sleep(0)
    bob.type("/join @ada")
    await post(ada, "@bob", "the end")
    seen = without_time(await bob.sees("the end"))
    assert any(line.startswith("* you are in @ada") for line in seen)
    for number in range(200):
        by_inbox = [at for at, line in enumerate(seen) if line == f"ada (to you): line {number}."]
        in_room = [at for at, line in enumerate(seen) if line == f"ada: line {number}."]
        # On coming into the room the last messages are shown again, and nothing shown there comes by the inbox too.
        assert by_inbox or in_room, number
        assert len(by_inbox) <= 1, number
        assert by_inbox + in_room == sorted(by_inbox + in_room), number
    bob.type("/who")
    assert len(await bob.sees("here: ")) == 1, "and that is all"


async def test_what_the_room_has_shown_the_inbox_does_not_show_again() -> None:
    read: list[tuple[str, int]] = []

    def tell(method: str, room: str, position: int, alone: bool) -> None:
        read.append((room, position))

    client: Any = SimpleNamespace(tell=tell)
    screen = Screen()
    talk = Conversation(client, screen, 1.0)
    talk.room, talk._read = "@ada", 5
    talk._leave()
    talk.room, talk._entering = "lobby", "@eve"  # whose messages come with the room
    for room, position in (("@ada", 5), ("@ada", 6), ("@eve", 1), ("@eve", 2), ("@zoe", 1)):
        talk._written(room, {"position": position, "at": 0, "by": room[1:], "text": f"{position}"})
    shown = [line for line in await screen.sees("zoe (to you)") if not line.startswith("*")]
    assert without_time(shown) == ["ada (to you): 6", "zoe (to you): 1"]
    assert read == [("@ada", 6), ("@zoe", 1)]


async def test_a_third_person_sees_nothing_of_it(house: House) -> None:
    ada, bob, eve = await house.peer("ada"), await house.talk("bob"), await house.talk("eve")
    await post(ada, "@bob", "psst")
    await bob.sees("psst")
    await post(ada, "lobby", "aloud")
    assert without_time(await eve.sees("aloud")) == ["ada: aloud"]


async def test_who_was_here_on_coming_in_has_not_left(house: House) -> None:
    """What presence tells first may be older than what one was told on coming in."""
    bob = await house.talk("bob", "builds")
    peers = [await house.peer(name) for name in ("ada", "eve")]
    for peer in peers:
        await peer.call("chat.enter", room="lobby")
    bob.type("/join lobby")
    assert "* here: ada, eve" in await bob.sees("here: ada")
    await post(peers[0], "lobby", "hello")
    assert without_time(await bob.sees("hello")) == ["ada: hello"]
    await peers[1].close()
    assert await bob.sees("eve left") == ["* eve left"]


async def test_a_late_word_of_presence_is_no_news() -> None:
    async def told(topic: str) -> AsyncIterator[Any]:
        for here in (["bob"], ["ada", "bob"], ["bob"], ["eve"]):
            yield SimpleNamespace(value={"here": here, "count": len(here)})

    client: Any = SimpleNamespace(identity=SimpleNamespace(account="bob"), subscribe=told)
    screen = Screen()
    await Conversation(client, screen, 1.0)._presence("lobby", {"here": ["ada", "bob"], "count": 2})
    shown = [screen.lines.get_nowait() for _ in range(screen.lines.qsize())]
    assert shown == ["* ada left", "* eve is here"]


async def test_what_was_missed_is_told_on_coming_in_and_on_coming_back(house: House) -> None:
    ada = await house.peer("ada")
    await post(ada, "@bob", "one", "two")
    await post(ada, "lobby", "aloud")
    bob = await house.talk("bob", told="* 2 unread from ada; /join @ada")
    bob.type("/join @ada")
    await bob.sees("two")
    client: Any = SimpleNamespace(identity=SimpleNamespace(account="bob"), is_open=False)
    talk = Conversation(client, Screen(), 1.0)
    asked: list[str] = []

    async def ask(method: str, **params: Any) -> Any:
        asked.append(method)
        return {"rooms": [{"name": "@ada", "unread": 1}, {"name": "@eve", "unread": 0}, {"name": "lobby", "unread": 9}]}

    talk.ask = ask  # type: ignore[method-assign]
    talk._link_changed("lost; trying again")
    assert (asked, talk._following) == ([], [])
    client.is_open = True
    talk._link_changed("back again")
    await asyncio.gather(*talk._following)
    screen: Any = talk.screen
    assert await screen.sees("unread") == ["* lost; trying again", "* back again", "* 1 unread from ada; /join @ada"]
    assert screen.lines.empty()


async def test_what_was_shown_is_read_soon(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_marker, "PAUSE", 0.01)
    ada, other = await house.peer("ada"), await house.peer("bob")
    await post(ada, "lobby", "one", "two")
    await house.talk("bob")
    await reads(other, {"lobby": 0})
    await post(ada, "lobby", "three")
    await reads(other, {"lobby": 0})


async def test_a_direct_message_that_was_shown_is_read_unless_others_were_missed(house: House) -> None:
    ada, eve, other = await house.peer("ada"), await house.peer("eve"), await house.peer("bob")
    await post(eve, "@bob", "missed")
    bob = await house.talk("bob")
    await post(ada, "@bob", "one", "two")
    await post(eve, "@bob", "three")
    await bob.sees("three")
    await reads(other, {"@ada": 0, "@eve": 2})
    bob.type("/join @eve")
    await bob.sees("missed")
    bob.type("/quit")
    await reads(other, {"@ada": 0, "@eve": 0})


async def test_what_was_shown_is_read_on_leaving_at_the_latest(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_marker, "PAUSE", 3600.0)
    ada, other = await house.peer("ada"), await house.peer("bob")
    bob = await house.talk("bob")
    await post(ada, "lobby", "one")
    await post(ada, "builds", "green")
    await bob.sees("one")
    assert await unread(other) == {"builds": 1, "lobby": 1}
    bob.type("/join builds")
    await reads(other, {"builds": 1, "lobby": 0})
    bob.type("/quit")
    await reads(other, {"builds": 0, "lobby": 0})


async def test_whom_the_server_lets_in_no_more_does_not_go_on_typing_into_nothing(house: House) -> None:
    await house.talk("ada")
    _, talk = house.talks.pop()
    house.clients["ada"].refused.set_exception(tieline.LoginFailed())
    with pytest.raises(tieline.LoginFailed):
        await talk

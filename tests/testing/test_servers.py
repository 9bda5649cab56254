"""Testing a service without sockets: the whole server is there, scopes are checked, and nothing is left open."""

import asyncio
from collections.abc import AsyncIterator

import pytest

import tieline
from tieline import testing


@pytest.fixture
async def server() -> AsyncIterator[tieline.Server]:
    async with testing.server() as serving:
        yield serving


async def test_a_method_of_ones_own_is_called(server: tieline.Server) -> None:
    @server.method("greet")
    async def greet(name: str, peer: tieline.Peer) -> str:
        return f"hello {name}, says {peer.identity.account}"

    async with testing.connect(server, account="ada") as ada:
        assert await ada.call("greet", name="Bob") == "hello Bob, says ada"


async def test_scopes_are_those_that_were_asked_for(server: tieline.Server) -> None:
    async with testing.connect(server, scopes=()) as nobody, testing.connect(server, scopes={"admin"}) as admin:
        with pytest.raises(tieline.Denied):
            await nobody.call("accounts.list")
        assert await admin.call("accounts.list")


async def test_two_accounts_talk(server: tieline.Server) -> None:
    async with testing.connect(server, account="ada") as ada, testing.connect(server, account="bob") as bob:
        room = bob.subscribe("room/@ada", after=0)
        await room.open()
        await ada.call("chat.post", room="@bob", text="psst", id="1")
        event = await anext(room)
        assert (event.position, event.value["by"], event.value["text"]) == (1, "ada", "psst")


async def test_the_server_calls_back(server: tieline.Server) -> None:
    @server.method("ask")
    async def ask(peer: tieline.Peer) -> str:
        return f"you said {await peer.call('answer')}"

    handlers = tieline.Handlers()
    handlers.add(lambda: "yes", "answer")
    async with testing.connect(server, handlers=handlers) as peer:
        assert await peer.call("ask") == "you said yes"


async def test_a_second_subscription_to_a_topic_gets_what_it_asks_for(server: tieline.Server) -> None:
    topic = server.topic("ticks")
    async with testing.connect(server) as peer:
        first = peer.subscribe("ticks", after=0)
        await first.open()
        for value in range(10):
            topic.publish(value)
        assert [(await anext(first)).value for _ in range(10)] == list(range(10))
        second = peer.subscribe("ticks", after=4)
        async with asyncio.timeout(5):
            assert [(await anext(second)).value for _ in range(6)] == [4, 5, 6, 7, 8, 9]
        topic.publish(10)
        assert (await anext(first)).value == (await anext(second)).value == 10


async def test_an_open_call_ends_with_the_server() -> None:
    mine = tieline.Server(data=":memory:", limits=tieline.Limits(drain=0.01))

    @mine.method("wait")
    async def wait() -> None:
        await asyncio.Event().wait()

    async with testing.server(mine) as server:
        peer = server.admit(tieline.Identity("ada", "test", frozenset()))
        call = asyncio.create_task(peer.call("wait"))
        await asyncio.sleep(0.01)
    with pytest.raises((tieline.LinkClosed, tieline.CallError)):
        await call
    await peer.close()


async def test_a_server_serves_once() -> None:
    mine = tieline.Server()
    async with testing.server(mine):
        pass
    with pytest.raises(RuntimeError, match="a Server serves once; make a new one"):
        async with mine.serving():
            pass


async def test_what_a_server_has_only_while_it_serves_says_so() -> None:
    mine = tieline.Server()
    with pytest.raises(AttributeError, match="no 'accounts' yet: it does not serve"):
        await mine.invite("ada")
    with pytest.raises(AttributeError, match="yet: it does not serve"):
        async with testing.connect(mine):
            pass
    async with testing.server(mine):
        with pytest.raises(AttributeError, match=r"no 'acounts'$"):
            mine.acounts  # type: ignore[attr-defined]  # noqa: B018

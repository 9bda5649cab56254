"""A server ends and comes back: what was asked is answered first, the port is free at once, clients go on."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import tieline
import tieline.client as client_module

from .conftest import Machines, Servers
from .machines import DEADLINE, Machine, ServerProcess, login
from .proxy import UP, Cut, Proxy

STOPS = [signal.SIGTERM, signal.SIGINT]


async def told(client: tieline.Client) -> None:
    """Until the server has said that it is closing."""
    async with asyncio.timeout(DEADLINE):
        while not client.goodbye:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("number", STOPS)
async def test_a_post_that_runs_when_the_server_is_stopped_is_answered(server: ServerProcess, number: int) -> None:
    async with tieline.connect(server.unix) as client:
        await client.call("chat.post", room="lobby", text="first", id="1")
        with closing(sqlite3.connect(server.data / "tieline.db", isolation_level=None)) as disk:
            disk.execute("BEGIN IMMEDIATE")  # as a slow disk would: until this ends nothing is durable
            posting = asyncio.create_task(client.call("chat.post", room="lobby", text="second", id="2"))
            await client.call("clock.now")  # came behind the post: that one has begun
            server.tell(number)
            await told(client)
            assert not posting.done()
            disk.execute("ROLLBACK")
        assert (await posting)["position"] == 2
        assert await server.ended() == 0
    assert "Traceback" not in server.said


@pytest.mark.parametrize("number", STOPS)
async def test_a_stream_that_is_read_slowly_is_finished_first(server: ServerProcess, number: int) -> None:
    async with tieline.connect(server.unix) as client:
        stream = client.stream("echo.count", to=200_000)  # much more than its credit
        assert await anext(stream) == 1
        server.tell(number)
        await told(client)
        async for item in stream:
            last = item
        assert last == 200_000
        assert await server.ended() == 0
    assert "Traceback" not in server.said


async def test_what_was_sent_is_read_though_the_reader_writes_meanwhile(server: ServerProcess) -> None:
    """A server that hung up first would cost its caller all that is unread: writing to it would break the link."""
    async with tieline.connect(server.unix) as quick, tieline.connect(server.unix) as slow:
        stream = slow.stream("echo.count", to=2_000)  # little enough to be sent at once
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        assert slow.link is not None
        slow.link.flush()
        slow.link.stream.pause_reading()
        await quick.call("clock.now")
        server.tell(signal.SIGTERM)
        await told(quick)
        late = asyncio.create_task(slow.call("clock.now"))
        await asyncio.sleep(0)
        slow.link.stream.resume_reading()
        assert await first == 1
        assert [item async for item in stream] == list(range(2, 2_001))
        assert await late
        assert await server.ended() == 0


@pytest.mark.usefixtures("hurried")
async def test_a_post_that_was_lost_goes_ahead_of_those_made_since(servers: Servers) -> None:
    server = servers()
    await server.start()
    async with tieline.connect(server.unix) as client:

        def post(id: str) -> "asyncio.Task[dict[str, int]]":
            call = client.call("chat.post", room="lobby", text=id, id=id, timeout=DEADLINE, retry=True)
            return asyncio.create_task(call)

        await post("first")
        with closing(sqlite3.connect(server.data / "tieline.db", isolation_level=None)) as disk:
            disk.execute("BEGIN IMMEDIATE")
            begun = [post("second"), post("third")]
            await client.call("clock.now")
            server.tell(signal.SIGTERM)
            await told(client)
            since = [post("fourth"), post("fifth")]  # these have to wait for the next server
            await asyncio.wait(since, timeout=0)
            await server.kill()  # and now those that were taken are lost as well
        await server.start()
        answers = await asyncio.gather(*begun, *since)
        assert [answer["position"] for answer in answers] == [2, 3, 4, 5]


@pytest.mark.usefixtures("hurried")
async def test_a_post_that_came_too_late_for_a_server_goes_to_the_next(servers: Servers) -> None:
    server = servers()
    await server.start()
    async with tieline.connect(server.unix) as quick, tieline.connect(server.unix) as slow:
        await quick.call("chat.post", room="lobby", text="first", id="1")
        with closing(sqlite3.connect(server.data / "tieline.db", isolation_level=None)) as disk:
            disk.execute("BEGIN IMMEDIATE")  # holds up the draining
            held = asyncio.create_task(quick.call("chat.post", room="lobby", text="held", id="2"))
            await quick.call("clock.now")
            assert slow.link is not None
            slow.link.stream.pause_reading()
            server.tell(signal.SIGTERM)
            await told(quick)
            call = slow.call("chat.post", room="lobby", text="late", id="3", timeout=DEADLINE, retry=True)
            late = asyncio.create_task(call)
            await asyncio.wait({late}, timeout=0.1)  # it is sent, for this client has not read that all is over
            slow.link.stream.resume_reading()
            await told(slow)
            disk.execute("ROLLBACK")
        assert (await held)["position"] == 2
        assert await server.ended() == 0
        await server.start()
        assert (await late)["position"] == 3


@pytest.mark.usefixtures("hurried")
async def test_strangers_who_guess_at_a_name_do_not_end_its_clients(
    servers: Servers, owner: Machine, machines: Machines
) -> None:
    server = servers()
    await server.start()
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())
    who = login(ada.profile())
    del who["pin"]
    async with (
        Proxy(server.port).running() as proxy,
        tieline.connect(**{**who, "address": f"tcp://127.0.0.1:{proxy.port}"}) as client,
    ):
        proxy.arm(*[Cut(UP, 0)] * 10_000)  # away, for as long as this takes
        await server.end()
        await server.start()  # and it does not remember who was here before
        refused: list[Exception] = []
        while not any(isinstance(each, tieline.TooManyAttempts) for each in refused):
            assert len(refused) < 100
            try:
                async with tieline.connect(**{**who, "address": server.tcp, "key": "guessed"}):
                    pass
            except tieline.LoginError as error:
                refused.append(error)
        proxy.arm()
        assert await client.call("echo.upper", text="back", timeout=DEADLINE) == "BACK"


async def test_a_link_lost_as_soon_as_it_is_there_is_not_dialled_without_a_pause(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def no_pause(attempt: int, random: float) -> float:
        attempts.append(attempt)
        return 0.0

    monkeypatch.setattr(client_module, "backoff", no_pause)
    async with tieline.connect(server.unix) as client:
        for steady, first in ((3600.0, 1), (0.0, 0)):
            monkeypatch.setattr(client_module, "STEADY", steady)
            assert client.link is not None
            client.link.stream.abort()
            await asyncio.sleep(0)
            await client.call("clock.now", retry=True, timeout=DEADLINE)
            assert attempts.pop() == first


async def test_its_port_is_free_at_once_and_everybody_goes_on(
    servers: Servers, owner: Machine, machines: Machines
) -> None:
    server = servers()
    await server.start()
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())
    news: list[str] = []
    async with tieline.connect(server.unix) as near, tieline.connect(**login(ada.profile())) as far:
        far.on_link = news.append
        rooms = [client.subscribe("room/lobby", after=0) for client in (near, far)]
        for number in range(1, 4):
            assert (await far.call("chat.post", room="lobby", text="here", id=str(number)))["position"] == number
            for room in rooms:
                async with asyncio.timeout(DEADLINE):
                    assert (await anext(room)).position == number
            assert await server.end() == 0
            await server.start()
        await far.call("clock.now", timeout=DEADLINE)
    assert news.count("the server is closing; trying again") == 3


async def test_calls_made_while_it_is_away_wait_no_longer_than_they_want(servers: Servers) -> None:
    server = servers()
    await server.start()
    async with tieline.connect(server.unix) as client:
        await server.end()
        with pytest.raises(tieline.DeadlineExceeded, match="could not be reached"):
            await client.call("clock.now", timeout=0.05)
        waiting = asyncio.create_task(client.call("echo.upper", text="later", timeout=DEADLINE))
        await server.start()
        assert await waiting == "LATER"


async def test_a_port_or_a_folder_that_is_taken_is_one_sentence(server: ServerProcess, machines: Machines) -> None:
    other = machines("other")
    code, out, said = await other.run("serve", "--listen", f"127.0.0.1:{server.port}")
    assert (code, out) == (2, "")
    assert said.count("\n") == 1
    assert str(server.port) in said
    code, out, said = await other.run("serve", "--listen", "127.0.0.1:0", "--data", str(server.data))
    assert (code, out) == (2, "")
    assert said.count("\n") == 1
    assert f"pid {server.pid}" in said
    async with tieline.connect(server.unix) as client:  # which neither of them disturbed
        assert await client.call("echo.upper", text="still here") == "STILL HERE"


@pytest.mark.requires("setpriv")
async def test_a_folder_of_somebody_else_is_one_sentence(nobody: list[str], public_folder: Path) -> None:
    somebody = Machine(public_folder, prefix=nobody)
    code, out, said = await somebody.run("serve", "--listen", "127.0.0.1:0", "--data", str(public_folder))
    assert (code, out) == (2, "")
    assert said.count("\n") == 1
    assert "Permission denied" in said
    assert str(public_folder) in said

"""Machines that were invited, and programs on them, talk in one room. Tickets are good once; the revoked are out."""

import asyncio
import json
import secrets
from pathlib import Path

import pytest

import tieline
from tieline.login.credential import new_key
from tieline.login.records import Verifier
from tieline.login.scram import make_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS

from .conftest import Machines
from .machines import DEADLINE, Machine, ServerProcess, line, login


async def invite(owner: Machine, name: str, *options: str) -> str:
    return (await owner.out("invite", name, *options)).strip()


def fresh_verifier() -> Verifier:
    return make_verifier(new_key(), KEY_ITERATIONS, secrets.token_bytes)


async def test_two_machines_and_programs_talk_in_one_room(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ada, bob = machines("ada"), machines("bob")
    tickets = [await invite(owner, name) for name in ("ada", "bob")]
    await asyncio.gather(*(machine.out("join", "-", stdin=t) for machine, t in zip((ada, bob), tickets, strict=True)))
    assert ada.profile().address == bob.profile().address == f"tls://127.0.0.1:{server.port}"
    reading = await bob.start("tail", "lobby", "-f", "--json")
    await ada.out("say", "lobby", "from ada's shell")
    async with tieline.connect(**login(bob.profile())) as program:
        followed = program.subscribe("room/lobby", after=0)
        first = await anext(followed)
        assert (first.value["by"], first.value["text"]) == ("ada", "from ada's shell")
        assert (await program.call("chat.post", room="lobby", text="from bob's program", id="b1"))["position"] == 2
        blocking = await asyncio.to_thread(blocking_program, ada, 2)
        assert blocking == ["from ada's shell", "from bob's program", "from ada's blocking program"]
        assert [(await anext(followed)).position for _ in range(2)] == [2, 3]
    seen = [json.loads(await line(reading)) for _ in range(3)]
    kept = [json.loads(each) for each in (await owner.out("tail", "lobby", "--json")).splitlines()]
    assert [(each["position"], each["by"]) for each in kept] == [(1, "ada"), (2, "bob"), (3, "ada")]
    assert seen == kept


def blocking_program(machine: Machine, position: int) -> list[str]:
    """Follows the room from its beginning, says something, and returns all it saw."""
    with (
        tieline.sync.connect(**login(machine.profile())) as peer,
        peer.subscribe("room/lobby", after=0) as events,
    ):
        seen = [next(events).value["text"] for _ in range(position)]
        peer.call("chat.post", room="lobby", text="from ada's blocking program", id="a1", timeout=DEADLINE)
        return [*seen, next(events).value["text"]]


async def test_a_revoked_device_is_cut_within_a_second_and_cannot_come_back(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ada = machines("ada")
    await ada.out("join", await invite(owner, "ada"), "--device", "laptop")
    await ada.out("join", await invite(owner, "ada"), "--device", "phone", "--profile", "phone")
    shell = await ada.start("tail", "lobby", "-f")
    async with (
        tieline.connect(server.unix) as admin,
        tieline.connect(**login(ada.profile())) as laptop,
        tieline.connect(**login(ada.profile("phone"))) as phone,
    ):
        await admin.call("chat.post", room="lobby", text="before", id="0")
        followed, elsewhere = laptop.subscribe("room/lobby"), phone.subscribe("room/lobby")
        await asyncio.gather(followed.open(), elsewhere.open())
        assert "before" in await line(shell)
        gone = asyncio.Event()
        laptop.on_end(lambda _: gone.set())
        assert await admin.call("accounts.revoke", account="ada", device="laptop") >= 1
        async with asyncio.timeout(1):
            await gone.wait()
        with pytest.raises(tieline.LoginFailed):
            await laptop.call("clock.now", timeout=DEADLINE)
        with pytest.raises(tieline.TielineError):
            await anext(followed)
        async with asyncio.timeout(DEADLINE):
            assert await shell.wait() != 0
        await admin.call("chat.post", room="lobby", text="among friends", id="1")
        assert (await anext(elsewhere)).value["text"] == "among friends"
    with pytest.raises(tieline.LoginFailed):
        async with tieline.connect(**login(ada.profile())):
            pass
    code, _, said = await ada.run("tail", "lobby")
    assert code == 4
    assert "login refused" in said
    assert "among friends" in await ada.out("tail", "lobby", "--profile", "phone")


async def test_a_ticket_is_good_once(server: ServerProcess, owner: Machine, machines: Machines) -> None:
    ticket = await invite(owner, "ada")
    await machines("ada").out("join", ticket)
    code, _, said = await machines("eve").run("join", ticket)
    assert code == 4
    assert said.count("\n") == 1
    assert not (Path(machines("eve").environment["TIELINE_CONFIG"]) / "profiles" / "default.toml").exists()
    assert [each["account"] for each in json.loads(await owner.out("accounts", "--json"))][1:] == ["ada"]


async def test_of_two_machines_racing_with_one_ticket_one_wins(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ticket = await invite(owner, "ada")
    racers = [machines(f"racer{number}") for number in range(3)]
    codes = [code for code, _, _ in await asyncio.gather(*(racer.run("join", ticket) for racer in racers))]
    assert sorted(code == 0 for code in codes) == [False, False, True]
    for racer, code in zip(racers, codes, strict=True):
        assert (await racer.run("rooms"))[0] == (0 if code == 0 else 2)  # who lost has joined nothing


async def test_of_many_links_that_came_by_one_ticket_one_enrols(server: ServerProcess, owner: Machine) -> None:
    ticket = await invite(owner, "ada")
    verifiers = [await asyncio.to_thread(fresh_verifier) for _ in range(8)]

    async def racer(number: int, start: asyncio.Barrier) -> str:
        async with tieline.connect(ticket) as peer:
            await start.wait()  # all are logged in before any of them enrols
            try:
                await peer.call("accounts.enrol", device=f"d{number}", verifier=verifiers[number])
            except (tieline.Denied, tieline.LinkClosed) as error:
                return type(error).__name__
            return "won"

    start = asyncio.Barrier(len(verifiers))
    results = await asyncio.gather(*(racer(number, start) for number in range(len(verifiers))))
    assert results.count("won") == 1
    ada = json.loads(await owner.out("accounts", "--json"))[1]
    assert len(ada["devices"]) == 1
    assert ada["tickets"] == []


async def test_a_ticket_may_only_enrol(server: ServerProcess, owner: Machine) -> None:
    async with tieline.connect(await invite(owner, "ada", "--can", "admin")) as peer:
        for method in ("chat.rooms", "clock.now", "accounts.list", "accounts.revoke"):
            with pytest.raises(tieline.Denied, match=f"^{method} is not for tickets.*tieline join"):
                await peer.call(method)
        with pytest.raises(tieline.Denied):
            await anext(peer.subscribe("room/lobby"))


async def test_an_expired_ticket_is_refused(server: ServerProcess, machines: Machines) -> None:
    async with tieline.connect(server.unix) as admin:
        ticket = await admin.call("accounts.invite", account="ada", expires=0.001)
    code, _, said = await machines("ada").run("join", ticket)
    assert code == 4
    assert said.count("\n") == 1


async def test_a_wrong_pin_is_refused_and_explained(server: ServerProcess, owner: Machine, machines: Machines) -> None:
    ticket = await invite(owner, "ada")
    pin = ticket.partition("pin=")[2].partition("#")[0]
    wrong = ticket.replace(pin, "ab" * 32)
    code, _, said = await machines("ada").run("join", wrong)
    assert code == 4
    assert said.count("\n") == 1
    for words in ("another certificate", "abababababababab", pin[:16], "ask its owner", f"127.0.0.1:{server.port}"):
        assert words in said
    await machines("ada").out("join", ticket)  # the ticket was not spent on it
    with pytest.raises(tieline.PinMismatch) as refused:
        async with tieline.connect(**{**login(machines("ada").profile()), "pin": "cd" * 32}):
            pass
    assert (refused.value.expected, refused.value.got) == ("cd" * 32, pin)

"""Who can be called, for what, since when and until when; kept over a restart, forgotten with the device."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import tieline
import tieline.testing
from tieline.apps.cli.machines import all_machines
from tieline.errors import Conflict, Denied, NotFound, Unavailable
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.login.records import Device, Verifier
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.server import Server


async def until(condition):
    """Asks again and again: each question is a turn of the loop and more."""
    for _ in range(20_000):
        if await condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


def sensor() -> Handlers:
    handlers = Handlers()

    @handlers.method("sensor.read", scope="chat")
    def read(channel: int = 0) -> float:
        """One value, in volts."""
        return 0.5 + channel

    return handlers


async def enrol(server: Server, account: str, device: str) -> None:
    """As `tieline join` does, without the way there."""
    await server.accounts.invite(account, {"chat"})
    verifier = Verifier(bytes(16), bytes(32), bytes(32), 4096)
    await server.accounts._store.put_device(Device(account, device, frozenset({"chat"}), verifier, 1))


@asynccontextmanager
async def joined(server: Server, account: str, device: str, *scopes: str):
    """A peer that is this device."""
    peer = server.admit(Identity(account, device, frozenset(scopes or ("chat",)), "memory"))
    yield peer
    await peer.close()


async def listed(peer: Peer) -> dict[str, dict]:
    return {entry["target"]: entry for entry in await peer.call("machines.list")}


async def test_a_machine_is_listed_with_what_it_offers_and_for_how_long(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.serving():
        await enrol(server, "ada", "lab-1")
        async with joined(server, "bob", "desk") as bob:
            assert await listed(bob) == {}
            async with joined(server, "ada", "lab-1") as lab:
                await lab.serve(sensor())
                assert await lab.call("machines.offer", methods=[{"name": "other"}]) == {"name": "lab-1", "changes": 0}
                assert (await listed(bob))["lab-1"]["methods"] == ["other"]
                await lab._served.offer()
                (entry,) = (await listed(bob)).values()
                assert (entry["target"], entry["account"], entry["device"], entry["here"]) == (
                    "lab-1",
                    "ada",
                    "lab-1",
                    True,
                )
                assert entry["since"] <= entry["seen"]
                assert entry["methods"] == ["sensor.read"]
                assert await bob.call("machines.methods", machine="ada/lab-1") == [
                    {
                        "name": "sensor.read",
                        "signature": "(channel: int = 0) -> float",
                        "scope": "chat",
                        "about": "One value, in volts.",
                        "streams": False,
                    }
                ]
                assert await bob.call("lab-1/sensor.read", channel=2) == 2.5

            async def away() -> bool:
                return not (await listed(bob))["lab-1"]["here"]

            await until(away)
            gone = (await listed(bob))["lab-1"]
            assert gone["since"] is None
            assert gone["methods"] == []
            assert gone["seen"] >= entry["seen"] - 1000  # the time of day may be put back a little meanwhile
            with pytest.raises(Unavailable, match="not here now"):
                await bob.call("machines.methods", machine="lab-1")
            with pytest.raises(NotFound):
                await bob.call("machines.methods", machine="lab-2")


async def test_a_restart_remembers_who_was_here_and_whose_a_name_is(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.serving():
        await enrol(server, "ada", "lab-1")
        await enrol(server, "mallory", "lab-1")
        async with joined(server, "ada", "lab-1") as lab:
            await lab.serve(sensor())
    again = Server(tmp_path)
    async with again.serving(), joined(again, "bob", "desk") as bob:
        assert not (await listed(bob))["lab-1"]["here"]
        with pytest.raises(Unavailable):
            await bob.call("lab-1/sensor.read")
        async with joined(again, "mallory", "lab-1") as impostor:
            await impostor.serve(sensor())
            with pytest.raises(Conflict, match="say ada/lab-1 or mallory/lab-1"):
                await bob.call("lab-1/sensor.read")
            assert set(await listed(bob)) == {"ada/lab-1", "mallory/lab-1"}


async def test_a_revoked_device_is_no_machine_any_more_and_its_name_is_free(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.serving():
        await enrol(server, "ada", "lab-1")
        await enrol(server, "bob", "lab-1")
        async with (
            joined(server, "root", "desk", "admin") as admin,
            joined(server, "ada", "lab-1") as old,
            joined(server, "bob", "lab-1") as new,
        ):
            await old.serve(sensor())
            assert await admin.call("accounts.revoke", account="ada", device="lab-1") == 1
            await new.serve(sensor())

            async def known() -> bool:
                return set(await listed(admin)) == {"lab-1"} and (await listed(admin))["lab-1"]["account"] == "bob"

            await until(known)
            assert await admin.call("lab-1/sensor.read") == 0.5


async def test_what_a_revoked_caller_has_running_ends_at_the_machine(tmp_path: Path) -> None:
    stopped = asyncio.Event()
    handlers = Handlers()

    @handlers.method("wait")
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    server = Server(tmp_path)
    async with server.serving():
        await enrol(server, "bob", "desk")
        async with (
            joined(server, "root", "desk", "admin") as admin,
            joined(server, "ada", "lab-1") as lab,
            joined(server, "bob", "desk") as bob,
        ):
            told = []
            await lab.serve(handlers, revoked=lambda *who: told.append(who))
            waiting = asyncio.create_task(bob.call("lab-1/wait"))
            await until(lambda: _running(server))
            await admin.call("accounts.revoke", account="bob", device="desk")
            async with asyncio.timeout(1):
                await stopped.wait()
            assert told == [("bob", "desk")]
            with pytest.raises(tieline.LinkClosed):
                await waiting


async def _running(server: Server) -> bool:
    return any(peer.open_work for peer in server.links if peer.identity.account == "bob")


async def test_guests_may_look_and_call_what_is_for_all_but_offer_nothing() -> None:
    handlers = sensor()
    handlers.add(lambda: "hello", "greet")
    handlers.add(lambda: "done", "reset", scope="shell")
    async with (
        tieline.testing.server() as server,
        tieline.testing.connect(server, account="ada", device="lab-1", scopes={"chat", "shell"}) as lab,
    ):
        await lab.serve(handlers)
        guest = server.admit(Identity("guest-eve", "guest", frozenset({"chat"}), "memory", guest=True))
        assert await guest.call("lab-1/greet") == "hello"
        with pytest.raises(Denied, match="shell"):
            await guest.call("lab-1/reset")
        with pytest.raises(Denied, match="a device that joined"):
            await guest.serve(sensor())
        await guest.close()


async def test_more_machines_than_fit_an_answer_are_listed_page_by_page(tmp_path: Path) -> None:
    server = Server(tmp_path, limits=Limits(page_bytes=1000))
    async with server.serving(), AsyncExitStack() as stack:
        for number in range(10):
            lab = await stack.enter_async_context(joined(server, "ada", f"lab-{number}"))
            await lab.serve(sensor())
        found, pages = await all_machines(lab, 60), 0
        assert [entry["target"] for entry in found] == [f"lab-{number}" for number in range(10)]
        after = ""
        while page := await lab.call("machines.list", after=after):
            after, pages = f"ada/{page[-1]['device']}", pages + 1
        assert pages >= 3


async def test_what_was_taken_away_while_a_machine_was_not_here_it_is_told_when_it_comes_back(tmp_path: Path) -> None:
    """Also over a restart of the server; and it is told nothing twice."""
    server, told = Server(tmp_path), []
    async with server.serving():
        await enrol(server, "ada", "lab-1")
        for name in ("bob", "eve", "early"):
            await enrol(server, name, "desk")
        async with joined(server, "root", "desk", "admin") as admin, joined(server, "ada", "lab-1") as lab:
            await admin.call("accounts.revoke", account="early", device="desk")
            await lab.serve(sensor(), revoked=lambda *who: told.append(who))
            await admin.call("accounts.allow", account="bob", can=["chat"])
            await _answered(lab, lambda: told == [("bob", None)])
            served = lab._served
        assert served is not None
        async with joined(server, "root", "desk", "admin") as admin:
            await admin.call("accounts.revoke", account="bob", device="desk")
    again = Server(tmp_path)
    async with again.serving(), joined(again, "root", "desk", "admin") as admin:
        await admin.call("accounts.revoke", account="eve")
        async with joined(again, "ada", "lab-1") as lab:
            # As a client's next link does.
            lab.onward = lab._served = served
            served._peer = lab
            await served.offer()
            await _answered(lab, lambda: len(told) >= 3)
            assert told == [("bob", None), ("bob", "desk"), ("eve", None)]
            await served.offer()
            await lab.call("echo.say", value=1)
            assert len(told) == 3


async def _answered(peer: Peer, condition) -> None:
    async def once() -> bool:
        await peer.call("echo.say", value=1)
        return condition()

    await until(once)

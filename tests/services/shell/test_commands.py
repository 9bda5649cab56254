"""Commands of a server in this process: what is told when, what is counted, and what is taken back."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.services.shell.leftovers import family, running, until

import tieline
import tieline.testing
from tieline import commands
from tieline.errors import Denied, LinkClosed, NotFound
from tieline.limits import Limits
from tieline.processes import family as processes_family
from tieline.rpc.peer import Peer


@asynccontextmanager
async def ada(**limits: float) -> AsyncIterator[tuple[Peer, Peer]]:
    """Somebody who may run commands, and an admin."""
    made = tieline.Server(name="test", allow_shell=True, limits=Limits(**limits))  # type: ignore[arg-type]
    async with (
        tieline.testing.server(made),
        tieline.testing.connect(made, account="ada", scopes={"shell"}) as peer,
        tieline.testing.connect(made, account="boss", scopes={"admin"}) as admin,
    ):
        yield peer, admin


async def test_the_end_of_the_errors_is_told_though_the_command_goes_on() -> None:
    async with (
        ada() as (peer, _),
        await commands.start(peer, ["sh", "-c", "echo oops >&2; exec 2>&-; sleep 100"]) as it,
    ):
        assert it.stderr is not None
        async with asyncio.timeout(20):
            assert b"".join([piece async for piece in it.stderr]) == b"oops\n"


async def test_a_command_that_has_ended_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not be tidied up after yet. Where orphans are adopted, as `tieline serve` does, that takes no time."""
    monkeypatch.setattr(processes_family, "adopts", lambda: True)
    async with ada(commands_per_account=1) as (peer, _):
        for number in range(20):
            assert (await commands.run(peer, ["sh", "-c", f"exit {number}"])).code == number


async def test_the_audit_knows_the_end_of_a_command_as_soon_as_its_caller_does() -> None:
    async with ada() as (peer, admin):
        for number in range(5):
            await commands.run(peer, ["sh", "-c", f"echo out; exit {number}"])
            entry = (await admin.call("audit.list"))[0]
            assert (entry["outcome"], entry["out"]) == (f"exit {number}", 4)


async def test_who_could_not_start_a_command_is_in_the_audit() -> None:
    async with ada() as (peer, admin):
        with pytest.raises(NotFound):
            await commands.run(peer, ["/bin/true"], cwd="/no/such/folder")
        with pytest.raises(NotFound):
            await peer.call("shell.open", argv=["/bin/true"], cwd="/no/such/folder")
        entries = await admin.call("audit.list")
        assert [entry["outcome"] for entry in entries] == ["it could not be started"] * 2


async def test_taking_the_right_back_ends_commands_and_sessions_at_once() -> None:
    """Not as one whose caller is gone, who has a grace period: here it is longer than this test may take."""
    word = f"word-{os.urandom(4).hex()}"
    async with ada(command_grace=600.0) as (peer, admin):
        await peer.call("shell.open", argv=["sh", "-c", family(word), word])
        waiting = asyncio.ensure_future(commands.run(peer, ["sh", "-c", family(word), word]))
        await until(lambda: len(running(word)) >= 10)
        await admin.call("accounts.revoke", account="ada")
        with pytest.raises(LinkClosed):
            await waiting
        await until(lambda: not running(word))


async def test_what_a_session_leaves_in_the_background_does_not_keep_its_end_from_being_told() -> None:
    """It has the terminal open, so reading comes to no end by itself."""
    word = f"word-{os.urandom(4).hex()}"
    async with ada() as (peer, _):
        program = f"sh -c 'trap \"\" HUP; while :; do sleep 0.2; done; : {word}' {word} & read _; exit 4"
        info = await peer.call("shell.open", argv=["sh", "-c", program, word])
        await until(lambda: len(running(word)) >= 2)

        async def keys() -> AsyncIterator[bytes]:
            yield b"\n"

        async with asyncio.timeout(30):
            told = [piece async for piece in peer.stream("shell.attach", keys=keys(), id=info["id"])]
        assert told[-1]["code"] == 4
        await until(lambda: not running(word))


async def test_who_may_do_nothing_on_this_machine_does_not_look_on_either() -> None:
    made = tieline.Server(name="test", allow_shell=True)
    async with (
        tieline.testing.server(made),
        tieline.testing.connect(made, account="bob", scopes={"shell"}) as bob,
        tieline.testing.connect(made, account="boss", scopes={"admin"}) as admin,
    ):
        async with tieline.testing.connect(made, account="eve", scopes={"shell"}):
            await admin.call("shell.narrow", account="eve", targets=["elsewhere"])
        info = await bob.call("shell.open", argv=["sleep", "1000"], watchable=True)
        async with tieline.testing.connect(made, account="eve", scopes={"shell"}) as eve:
            assert await eve.call("shell.sessions") == []
            with pytest.raises(Denied):
                await anext(eve.stream("shell.attach", id=info["id"], watch=True))

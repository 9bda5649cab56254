"""The server's book of commands: who may write what into it, and how much of it one is given at once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from tests.services.shell.leftovers import until

import tieline.testing
from tieline.errors import Denied, InvalidArgument, NotFound
from tieline.limits import Limits
from tieline.rpc.handlers import Handlers
from tieline.rpc.offers import Offer
from tieline.rpc.peer import Peer
from tieline.store.shell import CommandEntry

HUGE = 2**64 - 1


def entry(account="ada", id="a1", **more):
    plain = {"id": id, "account": account, "device": "desk", "address": "", "target": "", "kind": "run"}
    return {**plain, "argv": ["true"], "folder": "/", "at": 5, **more}


@asynccontextmanager
async def lab(server, device="lab-1") -> AsyncIterator[Peer]:
    """A machine that says it runs commands."""
    handlers = Handlers()
    handlers.add(lambda: None, "shell.run", scope="shell")
    async with tieline.testing.connect(server, account="boss", device=device, scopes={"shell"}) as peer:
        await peer.serve(handlers)
        yield peer


@pytest.fixture
async def server():
    async with tieline.testing.server(limits=Limits(page_bytes=3000, audit=5)) as made:
        yield made


def join(server, account, *scopes):
    return tieline.testing.connect(server, account=account, device="desk", scopes=scopes)


async def test_a_machine_reports_of_who_has_called_it_and_of_nobody_else(server):
    async with (
        lab(server) as machine,
        join(server, "ada", "shell") as ada,
        join(server, "eve", "chat") as eve,
        join(server, "root", "admin") as root,
    ):
        for peer, account in ((machine, "ada"), (eve, "ada"), (eve, "eve")):
            with pytest.raises(Denied):
                await peer.call("audit.begun", entry=entry(account))
        await ada.call("lab-1/shell.run")
        await machine.call("audit.begun", entry=entry("ada", target="boss/other", kind="nonsense"))
        with pytest.raises(Denied):
            await machine.call("audit.begun", entry=entry("eve"))
        with pytest.raises(Denied):
            await eve.call("audit.ended", id="a1", at=6, outcome="exit 0", out=1)
        await machine.call("audit.ended", id="a1", at=6, outcome="exit 0", out=1)
        (kept,) = await root.call("audit.list")
        assert (kept["begun"]["target"], kept["begun"]["kind"], kept["outcome"]) == ("boss/lab-1", "run", "exit 0")
        assert await eve.call("audit.list") == []


async def test_who_asks_for_the_commands_of_others_is_not_shown_his_own_in_their_place(server):
    async with join(server, "root", "admin") as root, join(server, "eve", "shell") as eve:
        assert await eve.call("audit.list", account="eve") == []
        with pytest.raises(Denied, match="only admins"):
            await eve.call("audit.list", account="root")
        assert await root.call("audit.list", account="eve") == []


async def test_a_report_that_is_repeated_is_one_and_each_machine_has_its_own_room(server):
    async with (
        lab(server) as first,
        lab(server, "lab-2") as second,
        join(server, "ada", "shell") as ada,
        join(server, "root", "admin") as root,
    ):
        for machine in ("lab-1", "lab-2"):
            await ada.call(f"{machine}/shell.run")
        await first.call("audit.begun", entry=entry(id="kept"))
        for number in range(40):
            for _ in range(2):
                await second.call("audit.begun", entry=entry(id=f"flood {number}"))
        found, before = [], None
        while page := await root.call("audit.list", before=before):
            found += page
            before = page[-1]["number"]
        ids = [each["begun"]["id"] for each in found]
        assert "kept" in ids
        assert len(ids) == len(set(ids)) < 20


async def test_numbers_no_database_holds_are_refused(server):
    async with lab(server) as machine, join(server, "ada", "shell") as ada:
        await ada.call("lab-1/shell.run")
        for params in ({"at": HUGE, "out": 1}, {"at": 1, "out": HUGE}, {"at": -1, "out": 1}):
            with pytest.raises(InvalidArgument):
                await machine.call("audit.ended", id="a1", outcome="exit 0", **params)
        with pytest.raises(InvalidArgument):
            await machine.call("audit.begun", entry=entry(at=HUGE))
        with pytest.raises(InvalidArgument):
            await ada.call("audit.list", before=HUGE)


async def test_long_command_lines_are_cut_and_come_page_by_page(server):
    async with lab(server) as machine, join(server, "ada", "shell") as ada:
        await ada.call("lab-1/shell.run")
        for number in range(4):
            await machine.call("audit.begun", entry=entry(id=str(number), argv=["x" * 100_000], folder="y" * 9000))
        first = await ada.call("audit.list")
        assert 1 <= len(first) < 4
        assert all(len("".join(each["begun"]["argv"])) < 2000 for each in first)
        assert len(await ada.call("audit.list", before=first[-1]["number"])) >= 1


async def test_only_somebody_can_be_narrowed(server):
    async with join(server, "root", "admin") as root:
        for name in ("nobody", "Root"):
            with pytest.raises(NotFound):
                await root.call("shell.narrow", account=name, commands=["make"])
        await root.call("shell.narrow", account="root", commands=["make"])
        assert (await root.call("shell.rule", account="root"))["commands"] == ["make"]


async def test_the_log_says_who_narrowed_whom(server, caplog):
    async with join(server, "root", "admin") as root, join(server, "ada", "shell"):
        with caplog.at_level("INFO", logger="tieline.shell"):
            await root.call("shell.narrow", account="ada", commands=["make", "git"], targets=["lab-*"])
            await root.call("shell.narrow", account="ada", targets=[])
            await root.call("shell.narrow", account="ada")
    who = caplog.messages[0].partition(" ")[0]
    assert who.startswith("root/")
    assert caplog.messages == [
        f"{who} lets ada run make, git on lab-*",
        f"{who} lets ada run anything on none",
        f"{who} lets ada run anything on any machine",
    ]


async def test_what_ran_on_a_machine_that_is_away_is_lost_until_it_says_more(server):
    """Nothing is written down for it, so whatever the machine tells when it is back is what holds."""
    offered = [Offer("shell.run", scope="shell")]

    async def listed():
        entries = await root.call("audit.list", returns=list[CommandEntry])
        return {each.begun.id: (each.outcome, each.heard is not None) for each in entries}

    async def back():
        """The same program over another link."""
        joining = tieline.testing.connect(server, account="boss", device="lab-1", scopes={"shell"})
        machine = await stack.enter_async_context(joining)
        await machine.call("machines.offer", methods=offered, instance="one", changes=0)
        return machine

    async def away():
        await stack.aclose()
        await until(lambda: not [each for each in server.switchboard if each.agents()])

    async with join(server, "ada", "shell") as ada, join(server, "root", "admin") as root, AsyncExitStack() as stack:
        machine = await back()
        with suppress(tieline.TielineError):
            await ada.call("lab-1/shell.run", timeout=0.1)
        for id in ("done", "not done"):
            await machine.call("audit.begun", entry=entry(id=id))
        assert await listed() == {"done": ("", False), "not done": ("", False)}
        await away()
        assert await listed() == {"done": ("", True), "not done": ("", True)}
        machine = await back()
        assert await listed() == {"done": ("", False), "not done": ("", False)}
        await machine.call("audit.ended", id="done", at=9, outcome="exit 0", out=1)
        await away()
        assert await listed() == {"done": ("exit 0", False), "not done": ("", True)}


async def test_a_server_that_starts_again_does_not_say_that_it_runs(tmp_path):
    async with tieline.testing.server(tieline.Server(data=tmp_path)) as first, lab(first) as machine:
        async with join(first, "ada", "shell") as ada:
            await ada.call("lab-1/shell.run")
        await machine.call("audit.begun", entry=entry())
    async with tieline.testing.server(tieline.Server(data=tmp_path)) as again, join(again, "root", "admin") as root:
        (kept,) = await root.call("audit.list", returns=list[CommandEntry])
        assert (kept.ended, kept.outcome) == (None, "")
        assert kept.heard is not None

"""Machines that joined are called through the server: by others, many at once, and through whatever happens to them."""

import asyncio
import json
import os
import random
import re
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.shell.leftovers import running, until

import tieline
from tieline import commands

from .conftest import Machines, Servers
from .machines import DEADLINE, LONG, Machine, ServerProcess, command, line, login, resident
from .terminals import Terminal
from .test_commands import ACTOR, locally, plan

STUBBORN = "trap '' INT TERM; echo up; while :; do sleep 0.1; done"


@pytest.fixture
async def server(servers: Servers) -> ServerProcess:
    made = servers("--allow-shell")
    await made.start()
    return made


async def join(owner: Machine, machine: Machine, account: str, device: str) -> None:
    ticket = (await owner.out("invite", account, "--can", "chat,shell")).strip()
    await machine.out("join", "-", "--device", device, stdin=ticket)


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """The line on stderr in which it says so."""
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        while text := (await process.stderr.readline()).decode():
            if words in text:
                return text
    raise AssertionError(f"it ended and never said {words!r}")


async def agent(machine: Machine, *options: str) -> asyncio.subprocess.Process:
    """An agent that can be called."""
    process = await machine.start("agent", "--allow", "run", *options)
    await said(process, "can be called as")
    return process


async def lab(owner: Machine, machines: Machines, *names: str) -> dict[str, asyncio.subprocess.Process]:
    """Agents of these names, all of ada."""
    for name in names:
        await join(owner, machines(name), "ada", name)
    return dict(zip(names, await asyncio.gather(*(agent(machines(name)) for name in names)), strict=True))


async def test_two_machines_are_called_from_a_third(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    await lab(owner, machines, "lab-1", "lab-2")
    await join(owner, machines("desk"), "bob", "desk")
    desk = machines("desk")
    listed = json.loads(await desk.out("machines", "--json"))
    assert [(each["target"], each["account"], each["here"]) for each in listed] == [
        ("lab-1", "ada", True),
        ("lab-2", "ada", True),
    ]
    for name in ("lab-1", "lab-2"):
        code, out, err = await desk.run(
            "run", "--on", name, "--env", f"WHO={name}", "--", "sh", "-c", "cat; echo $WHO >&2; exit 7", stdin="in\n"
        )
        assert (code, out, err) == (7, "in\n", f"{name}\n")
    blob = os.urandom(20_000_000)
    async with tieline.connect(**login(desk.profile())) as peer:
        done = await commands.run(peer, ["cat"], target="lab-1", input=blob)
        assert (done.code, done.stdout == blob) == (0, True)
        with pytest.raises(tieline.NotFound, match="no machine 'lab-3'"):
            await commands.run(peer, ["true"], target="lab-3")
    assert "shell.run" in await desk.out("methods", "--on", "lab-1")
    audit = json.loads(await owner.out("audit", "--json"))
    assert {(each["begun"]["account"], each["begun"]["target"]) for each in audit} == {
        ("bob", "ada/lab-1"),
        ("bob", "ada/lab-2"),
    }


async def test_who_may_only_chat_runs_nothing_on_any_machine(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    await lab(owner, machines, "lab-1")
    ticket = (await owner.out("invite", "eve", "--can", "chat,files")).strip()
    await machines("eve").out("join", "-", stdin=ticket)
    code, out, err = await machines("eve").run("run", "--on", "lab-1", "--", "id")
    assert (code, out) == (255, "")
    assert "needs the scope 'shell'" in err
    async with tieline.connect(**login(machines("eve").profile())) as peer:
        for method in ("lab-1/shell.run", "ada/lab-1/shell.run"):
            with pytest.raises(tieline.Denied):
                async for _ in peer.stream(method, id="a" * 24, argv=["id"]):
                    pass


async def test_a_killed_agent_is_told_to_its_callers_at_once_and_comes_back(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    agents = await lab(owner, machines, "lab-1")
    command = await owner.start("run", "--on", "lab-1", "--", "sh", "-c", "echo begun; sleep 1000")
    assert await line(command) == "begun\n"
    async with tieline.connect(server.unix) as peer:
        waiting = await commands.start(peer, ["sleep", "1000"], target="lab-1")
        agents["lab-1"].send_signal(signal.SIGKILL)
        async with asyncio.timeout(5):
            with pytest.raises(tieline.Unavailable, match="was lost during the call"):
                await waiting.wait()
            assert await command.wait() == 255
        with pytest.raises(tieline.Unavailable, match="not here now"):
            await commands.run(peer, ["true"], target="lab-1")
        assert {each["outcome"] for each in await peer.call("audit.list")} == {""}
        assert "lost: last heard of 20" in await owner.out("audit")
        await agent(machines("lab-1"))
        assert (await commands.run(peer, ["echo", "back"], target="lab-1")).stdout == b"back\n"
        entries = await peer.call("audit.list")
        assert {each["outcome"] for each in entries if each["begun"]["argv"][0] != "echo"} == {"the agent was killed"}


async def test_an_agent_comes_back_to_a_server_that_was_killed(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    agents = await lab(owner, machines, "lab-1")
    await server.kill()
    await said(agents["lab-1"], "trying again")
    await server.start()
    await said(agents["lab-1"], "back again")
    async with tieline.connect(server.unix) as peer:
        done = await commands.run(peer, ["echo", "here"], target="lab-1", timeout=DEADLINE)
    assert done.stdout == b"here\n"


async def test_revoking_ends_what_a_caller_has_running_on_machines_and_the_machine_itself(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    agents = await lab(owner, machines, "lab-1")
    await join(owner, machines("desk"), "bob", "desk")
    mark = f"mark-{server.port}"
    command = await machines("desk").start("run", "--on", "lab-1", "--", "sh", "-c", STUBBORN, mark)
    assert await line(command) == "up\n"
    async with tieline.connect(server.unix) as admin:
        await admin.call("accounts.revoke", account="bob", device="desk")
        async with asyncio.timeout(1):
            await until(lambda: not running(mark))
        assert await command.wait() == 255
        await admin.call("accounts.revoke", account="ada", device="lab-1")
        assert await agents["lab-1"].wait() == 4
        assert (await admin.call("machines.list")) == []


async def test_ctrl_c_ends_an_agent_and_what_runs_there(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    agents = await lab(owner, machines, "lab-1")
    mark = f"mark-{server.port}"
    command = await owner.start("run", "--on", "lab-1", "--", "sh", "-c", STUBBORN, mark)
    assert await line(command) == "up\n"
    agents["lab-1"].send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE):
        assert await agents["lab-1"].wait() == 0
        assert await command.wait() != 0
    assert not running(mark)


async def test_an_agent_says_what_it_needs(owner: Machine, machines: Machines, server: ServerProcess) -> None:
    lonely = machines("lonely")
    for arguments, code, words in (
        (["agent"], 2, "--allow with one or more of run, shell"),
        (["agent", "--allow", "fil"], 2, "'fil' is nothing one can be allowed here"),
        (["agent", "--allow", "run"], 2, "none was joined"),
    ):
        done = await lonely.run(*arguments)
        assert (done[0], done[1]) == (code, "")
        assert words in done[2]


async def test_one_command_on_many_machines(server: ServerProcess, owner: Machine, machines: Machines) -> None:
    await lab(owner, machines, "lab-1", "lab-2", "db-1")
    code, out, err = await owner.run("run", "--on", "lab-*", "--on", "db-1", "--shell", "--", "echo same; echo bad >&2")
    assert code == 0
    assert sorted(out.splitlines()) == ["db-1: same", "lab-1: same", "lab-2: same"]
    assert sorted(err.splitlines()[:3]) == ["db-1: bad", "lab-1: bad", "lab-2: bad"]
    assert [row.split() for row in err.splitlines()[3:]] == [
        ["MACHINE", "CODE"],
        ["lab-1", "0"],
        ["lab-2", "0"],
        ["db-1", "0"],
    ]
    code, out, _ = await owner.run("run", "--on", "*", "--group", "--", "printf", "no\\0end")
    assert code == 0
    assert out == "-- db-1, lab-1, lab-2 (3)\nno\0end\n"


async def test_what_goes_wrong_on_one_machine_is_its_own(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    await lab(owner, machines, "lab-1", "lab-2")
    mark = tmp_path / "mark"
    first = f"mkdir {mark} 2>/dev/null && exit 3; head -c 3 /dev/zero; exit 0"
    code, out, err = await owner.run(
        "run", "--on", "lab-?", "--on", "away-1", "--jobs", "1", "--json", "--shell", "--", first
    )
    assert code == 255
    results = {each["machine"]: each for each in map(json.loads, out.splitlines())}
    assert (results["lab-1"]["code"], results["lab-1"]["stdout"]) == (3, "")
    assert (results["lab-2"]["code"], results["lab-2"]["stdout"]) == (0, "\0\0\0")
    assert results["away-1"]["code"] == 255
    assert "no machine 'away-1'" in results["away-1"]["about"]
    assert re.search(r"away-1 +255 +no machine", err)
    code, out, err = await owner.run("run", "--on", "nothing-*", "--", "true")
    assert (code, out) == (255, "")
    assert "matches 'nothing-*'" in err
    code, _, err = await owner.run("run", "--on", "lab-*", "--timeout", "1s", "--", "sleep", "100")
    assert code == 124
    assert err.count("did not end within 1 s") == 2


async def test_who_stops_reading_what_many_machines_say_ends_what_they_run(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    """`2>&1 >/dev/null | head -1` and `| head -1`: the programs there are told by a closed pipe."""
    await lab(owner, machines, "lab-1", "lab-2")
    noise = "while :; do echo noise || exit 3; done"
    run = shlex.join(command("run", "--on", "lab-*", "--", "sh", "-c"))
    for redirected in (f"{run} '{noise}' 2>/dev/null | head -1", f"{run} '({noise}) >&2' 2>&1 >/dev/null | head -1"):
        process = await asyncio.create_subprocess_shell(
            redirected, env=owner.environment, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(DEADLINE):
            out, _ = await process.communicate()
        assert out in (b"lab-1: noise\n", b"lab-2: noise\n")


async def test_ctrl_c_interrupts_all_that_runs_and_begins_nothing_more(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    await lab(owner, machines, "lab-1", "lab-2", "lab-3")
    command = await owner.start("run", "--on", "lab-*", "--jobs", "2", "--", "sh", "-c", "echo up; exec sleep 1000")
    assert {await line(command), await line(command)} == {"lab-1: up\n", "lab-2: up\n"}
    command.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE):
        out, err = await command.communicate()
    assert command.returncode == 130
    assert out == b""
    assert err.decode().count("ended by SIGINT") == 2
    assert "lab-3" not in err.decode()


async def test_a_reader_that_stalls_costs_the_server_no_memory_and_nobody_else_anything(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    given = 0
    handlers = tieline.Handlers()

    @handlers.method("flood")
    async def flood(pieces: int) -> AsyncIterator[bytes]:
        nonlocal given
        for number in range(pieces):
            given += 1
            yield number.to_bytes(4, "big") * 16_384

    @handlers.method("count", scope="chat")
    async def count(to: int) -> AsyncIterator[int]:
        """From 1 on."""
        for number in range(1, to + 1):
            yield number

    await join(owner, machines("lab-1"), "ada", "lab-1")
    async with tieline.connect(**login(machines("lab-1").profile())) as machine, tieline.connect(server.unix) as caller:
        assert await machine.serve(handlers) == "lab-1"
        assert await owner.out("call", "lab-1/count", "to=3") == "1\n2\n3\n"
        assert await owner.out("call", "--on", "lab-1", "count", "to=3") == "1\n2\n3\n"
        before = resident(server.pid)
        stalled = caller.stream("lab-1/flood", pieces=1024)  # 64 MiB
        assert await anext(stalled) == bytes(65_536)
        seen = -1
        while seen != given:  # as far as it goes while nobody reads
            seen = given
            assert [n async for n in caller.stream("lab-1/count", to=2000)] == list(range(1, 2001))
        assert given < 100
        assert resident(server.pid) - before < 8 << 20
        rest = [piece[:4] async for piece in stalled]
        assert rest == [number.to_bytes(4, "big") for number in range(1, 1024)]


async def test_a_server_that_is_told_to_stop_lets_a_command_on_a_machine_finish(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    await lab(owner, machines, "lab-1")
    command = await owner.start("run", "--on", "lab-1", "--", "sh", "-c", "echo up; read word; echo $word")
    assert await line(command) == "up\n"
    async with tieline.connect(server.unix) as idle:
        told = asyncio.Event()
        idle.on_end(lambda _: told.set())  # who has nothing open hangs up as soon as the server says goodbye
        server.tell(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            await told.wait()
        await idle.close()
    assert command.stdin is not None
    command.stdin.write(b"finished\n")
    command.stdin.close()
    assert await line(command) == "finished\n"
    async with asyncio.timeout(DEADLINE):
        assert await command.wait() == 0
        assert await server.ended() == 0


@pytest.mark.timeout(1800)
async def test_whatever_a_command_does_on_a_machine_comes_out_as_if_it_ran_here(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    await lab(owner, machines, "lab-1")
    async with tieline.connect(server.unix) as peer:
        for number in range(500 if LONG else 30):
            steps, data = plan(random.Random(f"machine {number}"))
            argv = [*ACTOR, *steps]
            here = await asyncio.to_thread(locally, argv, data)
            async with asyncio.timeout(DEADLINE * 5):
                done = await commands.run(peer, argv, target="lab-1", input=data)
            assert (done.code, done.stdout, done.stderr) == here, steps


@pytest.mark.timeout(240)
async def test_a_terminal_on_a_machine_outlives_its_caller_and_the_server(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    await join(owner, machines("lab-1"), "ada", "lab-1")
    process = await machines("lab-1").start("agent", "--allow", "shell")
    await said(process, "can be called as lab-1")
    shell = Terminal(command("shell", "--on", "lab-1", "--", "env", "PS1=$ ", "sh"), owner.environment)
    try:
        await shell.shows("$ ")
        await shell.type("word=$((6 * 7)); echo it is $word\n")
        await shell.shows("it is 42")
        (session,) = json.loads(await owner.out("sessions", "--on", "lab-1", "--json"))
        await server.kill()
        await said(process, "trying again")
        await server.start()
        await said(process, "back again")
    finally:
        shell.close()
    again = Terminal(command("shell", "--on", "lab-1", "--attach", session["id"]), owner.environment)
    try:
        await again.shows("it is 42")
        await again.type("echo still $word\n")
        await again.shows("still 42")
        await again.type("exit 5\n")
        assert await again.ended() == 5
    finally:
        again.close()
    code, _, said_there = await owner.run("run", "--on", "lab-1", "--", "true")
    assert code == 255  # this agent allows terminals only
    assert "offers no method 'shell.run'" in said_there

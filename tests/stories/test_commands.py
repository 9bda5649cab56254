"""Commands there give exactly what they give here, whatever they do with their outputs, input and end."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.shell.leftovers import family, running, until

import tieline
from tieline import commands
from tieline.errors import DeadlineExceeded, InvalidArgument, LinkClosed

from .actor import MiB
from .conftest import Machines, Servers
from .machines import DEADLINE, LONG, ServerProcess, login
from .proxy import DOWN, Cut, Proxy

ACTOR = [sys.executable, "-I", "-S", str(Path(__file__).with_name("actor.py"))]
COUNT = 500 if LONG else 60
LARGE = 64 * MiB if LONG else 2 * MiB
SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGSEGV, signal.SIGUSR1)


@pytest.fixture
async def server(servers: Servers) -> ServerProcess:
    made = servers("--allow-shell")
    await made.start()
    return made


@pytest.fixture
async def peer(server: ServerProcess) -> AsyncIterator[tieline.Peer]:
    async with tieline.connect(server.unix) as client:
        yield client


def plan(chance: random.Random) -> tuple[list[str], bytes | None]:
    """Steps for an actor, and its input."""
    steps: list[str] = []
    data = chance.choice([None, b"", chance.randbytes(chance.choice([1, 1000, 70_000, 3_000_000]))])

    def size() -> int:
        return chance.choice([0, 1, 5, 4096, 65_536, 65_537, 300_000, chance.choice([MiB, LARGE])])

    for _ in range(chance.randint(0, 4)):
        seed = chance.randint(0, 255)
        steps.append(
            chance.choice([f"out,{seed},{size()}", f"err,{seed},{size()}", f"both,{size()},{seed}", "take,700"])
        )
    steps += chance.choice([[], ["echo"], ["count"], ["close,0"], ["close,1"], ["close,2"], ["close,1", "close,2"]])
    if chance.random() < 0.15:
        steps.append("child,30,later")
    ends = [f"exit,{chance.randint(0, 255)}", f"kill,{chance.choice(SIGNALS)}", "exit,0"]
    return [*steps, chance.choice(ends)], data


def locally(argv: list[str], data: bytes | None) -> tuple[int, bytes, bytes]:
    given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(argv, capture_output=True, timeout=DEADLINE * 5, **given)  # type: ignore[call-overload]
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout, done.stderr


async def there(peer: tieline.Peer, argv: list[str], data: bytes | None, target: str = "") -> tuple[int, bytes, bytes]:
    async with asyncio.timeout(DEADLINE * 5):
        done = await commands.run(peer, argv, input=data, target=target)
    return done.code, done.stdout, done.stderr


async def agent(machines: Machines, name: str) -> None:
    """A machine that joined under this name, and can be called when this returns."""
    ticket = (await machines("owner").out("invite", "lab", "--can", "shell")).strip()
    machine = machines(name)
    await machine.out("join", ticket, "--device", name)
    process = await machine.start("agent", "--allow", "run")
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        while b"can be called" not in (said := await process.stderr.readline()):
            assert said, "the agent ended"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", ["", "lab-1"])
async def test_whatever_a_command_does_comes_out_as_if_it_ran_here(
    peer: tieline.Peer, machines: Machines, target: str
) -> None:
    """On the server's machine, and on one that joined."""
    if target:
        await agent(machines, target)
    for number in range(COUNT if LONG or not target else COUNT // 2):
        steps, data = plan(random.Random(number))
        argv = [*ACTOR, *steps]
        here = await asyncio.to_thread(locally, argv, data)
        assert await there(peer, argv, data, target) == here, f"number {number}: {steps}, input {data and len(data)}"


async def test_many_at_once_do_not_hold_each_other_up(peer: tieline.Peer) -> None:
    plans = [plan(random.Random(1000 + number)) for number in range(20)]
    here = [await asyncio.to_thread(locally, [*ACTOR, *steps], data) for steps, data in plans]
    assert await asyncio.gather(*(there(peer, [*ACTOR, *steps], data) for steps, data in plans)) == here


async def test_all_exit_codes(peer: tieline.Peer) -> None:
    codes = range(256) if LONG else range(0, 256, 15)
    assert [(await commands.run(peer, ["sh", "-c", f"exit {code}"])).code for code in codes] == list(codes)


async def test_a_killed_server_leaves_nothing_running_and_the_caller_is_told(server: ServerProcess) -> None:
    word = f"word-{os.urandom(4).hex()}"
    async with tieline.connect(server.unix) as peer:
        waiting = asyncio.ensure_future(commands.run(peer, ["sh", "-c", family(word), word]))
        await until(lambda: len(running(word)) >= 5)
        await server.kill()
        with pytest.raises(LinkClosed):
            await asyncio.wait_for(waiting, 10)
    await until(lambda: not running(word))


async def test_a_command_that_kills_the_server_is_in_the_audit(server: ServerProcess) -> None:
    """It was written down before it started."""
    for number in range(3):
        async with tieline.connect(server.unix) as peer:
            with pytest.raises(LinkClosed):
                await commands.run(peer, ["sh", "-c", f"kill -9 $PPID; : {number}"])
        await server.kill()
        await server.start()
        async with tieline.connect(server.unix) as peer:
            entry = (await peer.call("audit.list"))[0]
            assert entry["begun"]["argv"] == ["sh", "-c", f"kill -9 $PPID; : {number}"]
            assert entry["outcome"] == "the server was killed"


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_cut_connection_ends_the_command_there(
    server: ServerProcess, machines: Machines, scheme: str, reset: bool
) -> None:
    word = f"word-{os.urandom(4).hex()}"
    await machines("ada").out("join", (await machines("owner").out("invite", "ada", "--can", "shell")).strip())
    who = login(machines("ada").profile())
    if scheme == "tcp":
        del who["pin"]
    async with Proxy(server.port).running() as proxy:
        who["address"] = f"{scheme}://127.0.0.1:{proxy.port}"
        async with tieline.connect(**who) as ada:  # type: ignore[arg-type]
            waiting = asyncio.ensure_future(commands.run(ada, ["sh", "-c", f"echo up; {family(word)}", word]))
            await until(lambda: len(running(word)) >= 5)
            proxy.arm(Cut(DOWN, 0, reset=reset))
            with pytest.raises(LinkClosed):
                await asyncio.wait_for(waiting, 10)
    await until(lambda: not running(word))


async def test_taking_the_right_back_ends_what_runs_within_a_second(server: ServerProcess, machines: Machines) -> None:
    owner, ada = machines("owner"), machines("ada")
    await ada.out("join", (await owner.out("invite", "ada", "--can", "chat,shell")).strip())
    async with tieline.connect(server.unix) as admin:
        for method, more in (("accounts.allow", {"can": ["chat"]}), ("accounts.revoke", {})):
            word = f"word-{os.urandom(4).hex()}"
            await admin.call("accounts.allow", account="ada", can=["chat", "shell"])
            async with tieline.connect(**login(ada.profile())) as peer:  # type: ignore[arg-type]
                waiting = asyncio.ensure_future(commands.run(peer, ["sh", "-c", family(word), word]))
                await until(lambda word=word: len(running(word)) >= 5)  # type: ignore[misc]
                await admin.call(method, account="ada", **more)
                began = asyncio.get_running_loop().time()
                with pytest.raises(LinkClosed):
                    await waiting
                await until(lambda word=word: not running(word))  # type: ignore[misc]
                assert asyncio.get_running_loop().time() - began < 1.0 or not LONG


async def test_a_deadline_ends_the_command_with_all_it_started(peer: tieline.Peer) -> None:
    word = f"word-{os.urandom(4).hex()}"
    waiting = asyncio.ensure_future(commands.run(peer, ["sh", "-c", family(word), word], timeout=1.0))
    await until(lambda: len(running(word)) >= 5)
    with pytest.raises(DeadlineExceeded):
        await waiting
    await until(lambda: not running(word))


async def test_an_input_that_is_no_bytes_fails_the_command(peer: tieline.Peer, tmp_path: Path) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"a part"
        yield "text"  # type: ignore[misc]

    with pytest.raises(InvalidArgument):
        await commands.run(
            peer, ["sh", "-c", f"cat > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/whole"], input=lines()
        )
    assert not (tmp_path / "whole").exists()


async def test_the_example_of_the_manual_runs(server: ServerProcess) -> None:
    example = Path(__file__).parents[2] / "docs" / "examples" / "run_commands.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(example), server.unix, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert out.decode() == "3 b'some input\\n' b'oops\\n'\n1\n2\n3\nEnded(code=0, signal='')\n"

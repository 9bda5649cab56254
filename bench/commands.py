"""Commands there: `true` over a link that is held, `true` as a program of its own, and 1 GiB of output.

Beside OpenSSH (its own sshd on loopback; cold, and with ControlMaster), asyncssh with a kept connection, and the
machine's own subprocess. Every round takes all of them in turn, in slices that alternate: a machine is never idle.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from compileall import compile_dir
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import uvloop

from . import ssh
from .contest import Contest, Figures, Metric
from .processes import ROOT, Server, free_port, start_program
from .setup import Setup

MiB = 1 << 20
LATENCY = [Metric("p50", "ms"), Metric("p90", "p90 ms")]
RATE = [Metric("rate", "MiB/s", more_is_better=True)]
TRUE = "/bin/true"
Once = Callable[[], Awaitable[None]]


@dataclass
class Place:
    """A server that runs commands, and how to reach it."""

    folder: Path
    port: int
    ssh: ssh.Ssh | None

    def environment(self, who: str) -> dict[str, str]:
        """`unix` finds the server's socket, `tls` has only what it joined with."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TIELINE_")}
        data = self.folder / ("data" if who == "unix" else "none")
        return {**clean, "TIELINE_DATA": str(data), "TIELINE_CONFIG": str(self.folder / "config")}

    def run(self, who: str, *argv: str) -> tuple[list[str], dict[str, str] | None]:
        """A command line that runs this there, and its environment."""
        if who in ("unix", "tls"):
            return [sys.executable, "-m", "tieline", "run", "-n", "--", *argv], self.environment(who)
        if who == "local":
            return list(argv), None
        assert self.ssh is not None
        return [*self.ssh.command("cold" if who == "ssh" else "kept"), *argv], None


def run(setup: Setup) -> list[Contest]:
    if why := ssh.missing():
        setup.left_out.append(why)
    with place(setup.folder / "commands") as where:
        others = ["ssh", "ssh kept"] if where.ssh is not None else []
        held = ["tieline", "local", *(["asyncssh"] if where.ssh is not None and find_spec("asyncssh") else [])]
        return [
            in_turn("commands over a held link", LATENCY, setup, lambda: uvloop.run(over_links(where, held, setup))),
            in_turn("commands as programs", LATENCY, setup, lambda: as_programs(where, others, setup)),
            in_turn("output of commands", RATE, setup, lambda: output(where, others, setup)),
        ]


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    folder.mkdir(exist_ok=True)
    compile_dir(ROOT / "src", quiet=1)  # as a package that was installed: a checkout may have no bytecode
    port = free_port()
    with ExitStack() as stack:
        server = None if ssh.missing() else ssh.Ssh(folder / "ssh")
        where = Place(folder, port, server)
        os.environ.update({name: value for name, value in where.environment("unix").items() if "TIELINE" in name})
        listen = ["serve", "--allow-shell", "--listen", f"127.0.0.1:{port}", "--log-level", "warning"]
        stack.enter_context(start_program([sys.executable, "-m", "tieline", *listen], port, folder / "log"))
        if server is not None:
            stack.enter_context(started(server))
        ticket = tieline(where, "unix", "invite", "bench", "--can", "shell", "--address", f"127.0.0.1:{port}")
        tieline(where, "tls", "join", ticket.strip())
        yield where


@contextmanager
def started(server: ssh.Ssh) -> Iterator[Server]:
    with server.start() as process:
        yield process
        server.stop()


def tieline(where: Place, who: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "tieline", *arguments]
    return subprocess.run(
        command, env=where.environment(who), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def in_turn(
    group: str, metrics: list[Metric], setup: Setup, measure: Callable[[], dict[str, dict[str, Figures]]]
) -> Contest:
    """A contest whose rounds measure all of them in slices: `measure()` gives case -> contender -> figures."""
    contest = Contest(group, metrics)
    for _ in range(setup.rounds):
        contest.rounds.append(measure())
    return contest


def latency(times: list[float]) -> Figures:
    return {"p50": statistics.median(times) * 1000, "p90": statistics.quantiles(times, n=10)[-1] * 1000}


# -- over links that are held ----------------------------------------------------------------------------------------


async def over_links(where: Place, names: list[str], setup: Setup) -> dict[str, dict[str, Figures]]:
    import tieline as library
    from tieline import commands

    times: dict[str, list[float]] = {name: [] for name in names}
    async with library.connect(f"unix:{where.folder}/data/tieline.sock") as peer:
        contenders: dict[str, Once] = {
            "tieline": lambda: _check(commands.run(peer, [TRUE])),
            "local": _local,
        }
        kept = None
        if "asyncssh" in names:
            import asyncssh

            assert where.ssh is not None
            folder = str(where.ssh.folder)
            kept = await asyncssh.connect(
                "127.0.0.1",
                where.ssh.port,
                username=where.ssh.user,
                client_keys=[f"{folder}/user"],
                known_hosts=f"{folder}/known",
                config=None,
            )
            contenders["asyncssh"] = lambda: _check(kept.run(TRUE))
        for number in range(30 if setup.quick else 300):
            for name in names:
                began = time.perf_counter()
                await contenders[name]()
                if number > 5:
                    times[name].append(time.perf_counter() - began)
        if kept is not None:
            kept.close()
    return {"true": {name: latency(taken) for name, taken in times.items()}}


async def _check(running: Awaitable[object]) -> None:
    await running


async def _local() -> None:
    subprocess.run([TRUE], capture_output=True, check=True)  # noqa: ASYNC221 - that is what it is compared with


# -- as programs -----------------------------------------------------------------------------------------------------


def as_programs(where: Place, others: list[str], setup: Setup) -> dict[str, dict[str, Figures]]:
    lines = {name: where.run(name, TRUE) for name in ("unix", "tls", *others)}
    times: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(3 if setup.quick else 15):
        for name, (line, environment) in lines.items():
            began = time.perf_counter()
            subprocess.run(line, env=environment, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    figures = {name: latency(taken) for name, taken in times.items()}
    rest = {name: figures[name] for name in others}
    return {f"true over {who}": {"tieline": figures[who], **rest} for who in ("unix", "tls")}


# -- output ----------------------------------------------------------------------------------------------------------


def output(where: Place, others: list[str], setup: Setup) -> dict[str, dict[str, Figures]]:
    size = (32 if setup.quick else 1024) * MiB
    names = ["unix", "tls", *(name for name in others if name != "ssh"), "local"]
    best: dict[str, float] = dict.fromkeys(names, 0.0)
    for _ in range(1 if setup.quick else 2):  # of which the better counts: other programs only ever make one slower
        for name in names:
            line, environment = where.run(name, "head", "-c", str(size), "/dev/zero")
            best[name] = max(best[name], rate(line, environment, size))
    rest = {name: {"rate": best[name]} for name in names if name not in ("unix", "tls")}
    return {f"1 GiB over {who}": {"tieline": {"rate": best[who]}, **rest} for who in ("unix", "tls")}


def rate(line: list[str], environment: dict[str, str] | None, size: int) -> float:
    """MiB/s through a pipe, as `| tar x` would read it."""
    buffer, got, began = bytearray(MiB), 0, time.perf_counter()
    with subprocess.Popen(line, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while count := os.readv(process.stdout.fileno(), [buffer]):
            got += count
    if process.returncode or got != size:
        raise RuntimeError(f"{line[0]} gave {got} of {size} bytes and ended with {process.returncode}")
    return size / MiB / (time.perf_counter() - began)

"""Programs are started, signalled and ended, with all they started."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.services.shell.leftovers import family, running, until

from tieline.processes import family as processes_family
from tieline.processes.ending import KILL
from tieline.processes.family import group_lives as family_lives
from tieline.processes.spawner import Process, Spawner

PATH = {"PATH": os.environ["PATH"]}
GRACE = ((0.0, signal.SIGINT), (0.2, signal.SIGTERM), (0.4, signal.SIGKILL))


@pytest.fixture
async def spawner() -> AsyncIterator[Spawner]:
    async with Spawner() as made:
        yield made


def start(spawner: Spawner, *argv: str, folder: str = "/") -> Process:
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        mark = os.urandom(8).hex()
        return spawner.start(mark, argv[0], argv, PATH, folder=folder, descriptors=(nothing, nothing, nothing))
    finally:
        os.close(nothing)


async def test_the_exit_code_is_told(spawner: Spawner) -> None:
    process = start(spawner, "/bin/sh", "-c", "exit 200")
    assert await process.exited == 200
    process.end()
    await process.gone
    assert len(spawner) == 0


async def test_what_cannot_be_seen_to_have_left_nothing_is_not_forgotten_yet(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def blind_at_first(known: object) -> list[tuple[int, float]]:
        looks.append(len(spawner))
        if len(looks) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return []

    monkeypatch.setattr(processes_family, "adopts", lambda: True)
    monkeypatch.setattr(processes_family, "orphans", blind_at_first)
    process = start(spawner, "/bin/sh", "-c", "exit 3")
    assert await process.exited == 3
    process.end()
    await process.gone
    assert looks[:2] == [1, 1], "it was looked for again"


async def test_a_signal_is_told_as_a_number_below_zero(spawner: Spawner) -> None:
    process = start(spawner, "/bin/sh", "-c", "kill -9 $$")
    assert await process.exited == -signal.SIGKILL
    process.end()


async def test_it_starts_in_its_folder_and_in_a_session_of_its_own(spawner: Spawner, tmp_path: Path) -> None:
    process = start(spawner, "/bin/sh", "-c", "pwd > where; sleep 100", folder=str(tmp_path))
    await until(lambda: (tmp_path / "where").exists())
    assert os.getsid(process.pid) == process.pid
    process.end()
    await process.gone
    assert (tmp_path / "where").read_text() == f"{tmp_path}\n"


async def test_a_program_that_is_not_there_is_an_error_at_once(spawner: Spawner) -> None:
    with pytest.raises(FileNotFoundError):
        start(spawner, "/bin/there-is-no-such-program")
    with pytest.raises(FileNotFoundError):
        start(spawner, "/bin/true", folder="/no/such/folder")
    assert len(spawner) == 0


async def test_no_descriptor_but_the_three_is_handed_down(spawner: Spawner, tmp_path: Path) -> None:
    process = start(spawner, "/bin/sh", "-c", "ls /proc/$$/fd > seen; exit", folder=str(tmp_path))
    await process.exited
    # The fourth is that of the shell's own redirection.
    assert set((tmp_path / "seen").read_text().split()) <= {"0", "1", "2", "3", "10"}
    process.end()


@pytest.mark.parametrize("steps", [KILL, GRACE])
async def test_whatever_it_started_ends_with_it(spawner: Spawner, steps: object) -> None:
    word = f"word-{os.urandom(4).hex()}"
    process = start(spawner, "/bin/sh", "-c", family(word), word)
    await until(lambda: len(running(word)) >= 5)
    process.end(steps)  # type: ignore[arg-type]
    await asyncio.wait_for(process.gone, 20)
    assert running(word) == []


async def test_what_it_left_behind_in_its_group_ends_when_it_has_ended(spawner: Spawner) -> None:
    word = f"word-{os.urandom(4).hex()}"
    process = start(spawner, "/bin/sh", "-c", f"sh -c 'sleep 100; : {word}' {word} & exit 0")
    await process.exited
    process.end()
    await process.gone
    assert running(word) == []


async def test_who_is_asked_politely_may_leave_before_it_is_killed(spawner: Spawner, tmp_path: Path) -> None:
    script = "trap 'echo bye > said; exit 7' TERM; echo up > ready; while :; do sleep 0.05; done"
    process = start(spawner, "/bin/sh", "-c", script, folder=str(tmp_path))
    await until(lambda: (tmp_path / "ready").exists())
    process.end(((0.0, signal.SIGTERM), (20.0, signal.SIGKILL)))
    await asyncio.wait_for(process.gone, 10)
    assert await process.exited == 7
    assert (tmp_path / "said").read_text() == "bye\n"


async def test_an_ending_can_be_hurried_but_not_slowed_down(spawner: Spawner, tmp_path: Path) -> None:
    script = "trap '' TERM; echo up > ready; while :; do sleep 0.1; done"
    process = start(spawner, "/bin/sh", "-c", script, folder=str(tmp_path))
    await until(lambda: (tmp_path / "ready").exists())
    process.end(((0.0, signal.SIGTERM), (1000.0, signal.SIGKILL)))
    process.end(((0.0, signal.SIGTERM), (0.1, signal.SIGKILL)))
    process.end(((0.0, signal.SIGTERM), (1000.0, signal.SIGKILL)))
    await asyncio.wait_for(process.gone, 20)
    assert await process.exited == -signal.SIGKILL


async def test_closing_ends_everything() -> None:
    word = f"word-{os.urandom(4).hex()}"
    async with Spawner() as spawner:
        for _ in range(3):
            start(spawner, "/bin/sh", "-c", family(word), word)
        await until(lambda: len(running(word)) >= 15)
    assert running(word) == []


_VICTIM = """
import asyncio, os, sys
from tieline.processes.spawner import Spawner

async def main():
    async with Spawner() as spawner:
        nothing = os.open(os.devnull, os.O_RDWR)
        spawner.start("a" * 16, "/bin/sh", ["sh", "-c", sys.argv[1], sys.argv[2]], dict(os.environ),
                      descriptors=(nothing, nothing, nothing))
        first = spawner._guard.pid
        if sys.argv[3:]:
            os.kill(first, 9)
        while sys.argv[3:] and spawner._guard.pid in (0, first):
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("more", [[], ["another warden"]])
async def test_who_is_killed_takes_what_it_started_along(more: list[str]) -> None:
    word = f"word-{os.urandom(4).hex()}"
    line = [sys.executable, "-c", _VICTIM, family(word), word, *more]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as victim:  # noqa: ASYNC220
        try:
            assert victim.stdout is not None
            assert await asyncio.to_thread(victim.stdout.readline) == b"ready\n"
            await until(lambda: len(running(word)) >= 6)
        finally:
            victim.kill()
    await until(lambda: not running(word))


async def test_what_forks_without_end_is_caught(spawner: Spawner) -> None:
    word = f"word-{os.urandom(4).hex()}"
    comet = "import os, time\nwhile True:\n    if os.fork(): os._exit(0)\n    time.sleep(0.0005)"
    process = start(spawner, sys.executable, "-I", "-S", "-c", comet, word)
    await process.exited
    process.end()
    await asyncio.wait_for(process.gone, 20)
    assert not family_lives(process.pid)
    assert running(word) == []


async def test_a_number_stays_the_commands_until_it_is_forgotten(spawner: Spawner) -> None:
    """Signals for a command that has exited, but whose child holds the pipe, must hit nobody else."""
    process = start(spawner, "/bin/sh", "-c", "setsid sleep 100 & exit 3")
    assert await process.exited == 3
    assert process.holds_number
    # It is there still, so nobody else can be.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    process.end()
    await process.gone
    assert not process.holds_number


async def test_a_warden_that_is_killed_is_started_again(spawner: Spawner) -> None:
    first = spawner._guard.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: spawner._guard.pid not in (0, first))
    process = start(spawner, "/bin/true")
    assert await process.exited == 0
    process.end()

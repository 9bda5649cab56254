"""A control group of our own: nothing that is started in it gets out, and all of it ends at one stroke.

Where no group can be made (in most containers, without cgroup 2, for users to whom none is delegated) these tests are
left out.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.shell.leftovers import family, running, until

from tieline.processes import cgroup

HIDING = "setsid env -i /bin/sh -c '(trap \"\" HUP INT TERM; while :; do sleep 0.2; done; : {word}) &' {word} & wait"
"Something that clears its environment, leaves its session, and loses its parents, so that nothing tells whose it is."


@pytest.fixture(scope="module", autouse=True)
def group_can_be_made() -> None:
    """Tried by another process, so that this one stays where it is."""
    trial = "from tieline.processes.cgroup import Group; group = Group.enter(); print(group is not None); group.close()"
    done = subprocess.run([sys.executable, "-c", trial], capture_output=True, text=True)
    if done.stdout.strip() != "True":
        pytest.skip(
            "no control group can be made here: this needs cgroup 2 of Linux 5.14, and root or a delegated part"
        )
    assert done.returncode == 0, done.stderr


def hidden(word: str) -> str:
    return f"{word}-hidden"


def hide(word: str) -> str:
    return f"{HIDING.format(word=hidden(word))}; {family(word)}"


_VICTIM = """
import asyncio, os, sys
from tieline.processes import family
from tieline.processes.spawner import Spawner

async def main():
    family.adopt_orphans()
    async with Spawner() as spawner:
        nothing = os.open(os.devnull, os.O_RDWR)
        spawner.start("a" * 16, "/bin/sh", ["sh", "-c", sys.argv[1], sys.argv[2]], dict(os.environ),
                      descriptors=(nothing, nothing, nothing))
        if sys.argv[3:]:
            os.kill(spawner._guard.pid, 9)
            first = spawner._guard.pid
            while spawner._guard.pid in (0, first):
                await asyncio.sleep(0.01)
        print(spawner._guard._group.path, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture(params=[[], ["again"]], ids=["the first warden", "a warden that was started again"])
def victim(request: pytest.FixtureRequest) -> Iterator[tuple["subprocess.Popen[str]", str, Path]]:
    """A program that runs a command which hides, a word of that, and its control group."""
    word = f"word-{os.urandom(4).hex()}"
    line = [sys.executable, "-c", _VICTIM, hide(word), word, *request.param]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, word, Path(process.stdout.readline().strip())
        finally:
            process.kill()


async def test_what_hides_is_ended_when_the_server_is_killed(
    victim: tuple["subprocess.Popen[str]", str, Path],
) -> None:
    process, word, group = victim
    await until(lambda: len(running(word)) >= 5 and running(hidden(word)))
    assert str(process.pid) in (group / "cgroup.procs").read_text().split()
    process.kill()
    await until(lambda: not running(word) and not running(hidden(word)))
    await until(lambda: not group.exists())


async def test_a_server_that_ends_in_order_leaves_no_group_behind(
    victim: tuple["subprocess.Popen[str]", str, Path],
) -> None:
    process, word, group = victim
    await until(lambda: len(running(word)) >= 5 and running(hidden(word)))
    assert process.stdin is not None
    process.stdin.close()
    await until(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert running(word) == running(hidden(word)) == []
    assert not group.exists()


def test_a_group_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    cgroup.end(str(tmp_path / "never there"))


def test_who_leaves_takes_nobody_along() -> None:
    script = """
import os, subprocess, sys
from tieline.processes.cgroup import Group
group = Group.enter()
children = [subprocess.Popen(["sleep", "100"]) for _ in range(3)]
group.close()
print([child.wait(10) for child in children], os.path.exists(group.path))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{[-signal.SIGKILL] * 3} False\n"

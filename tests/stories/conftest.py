"""The whole system: servers as processes, machines that joined them, networks that break."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tieline.link import dial

from .machines import DEADLINE, Machine, ServerProcess

Servers = Callable[..., ServerProcess]
Machines = Callable[[str], Machine]
_NOBODY = "65534"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    """Makes servers, not started yet; `servers()` is the one whose owner is the machine "owner"."""
    made: list[ServerProcess] = []

    def make(*options: str, at: str = "owner") -> ServerProcess:
        made.append(ServerProcess(tmp_path / at, *options))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def server(servers: Servers) -> ServerProcess:
    """A server that runs."""
    made = servers()
    await made.start()
    return made


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[Machines]:
    """Machines by name; "owner" is the one the server runs on."""
    made: dict[str, Machine] = {}

    def machine(name: str) -> Machine:
        return made.setdefault(name, Machine(tmp_path / name))

    yield machine
    for each in made.values():
        await each.close()


@pytest.fixture
def owner(machines: Machines) -> Machine:
    return machines("owner")


@pytest.fixture
def nobody() -> list[str]:
    """What to put before a command so that another user of the system runs it."""
    if os.getuid() != 0:
        pytest.skip("needs root, to be somebody else")
    # It may read whatever the Python of this run is made of, and nothing else that is not everybody's.
    may_read = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    prefix = ["setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups", *may_read]
    if subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True, timeout=DEADLINE).returncode != 0:
        pytest.skip("this system does not let a test be somebody else")
    return prefix


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder every user of the system can reach, and only this one write; pytest's own are private."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients in this process dial again sooner than out of politeness."""
    monkeypatch.setattr(dial, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(dial, "LONGEST_PAUSE", 0.1)


@pytest.fixture(autouse=True)
async def _nothing_is_left_running() -> AsyncIterator[None]:
    """A story ends with the tasks it began with."""
    before = asyncio.all_tasks()
    yield
    for _ in range(100):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    assert not left

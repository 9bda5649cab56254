"""The whole system: servers as processes, machines that joined them, networks that break."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tieline.link import dial

from .machines import Machine, ServerProcess

Servers = Callable[..., ServerProcess]
Machines = Callable[[str], Machine]


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

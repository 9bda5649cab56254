"""A link that says nothing costs the server a little memory and one timer: no task, and nothing when it is gone."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import tieline

from .machines import DEADLINE

KiB = 1024
FEW, MANY = 50, 300
AT_ONCE = 16
BOUNDS = {"tls": 80 * KiB, "tcp": 16 * KiB}
"Bytes for each link: twice what a server with thousands may take, because a few hundred share less of what is common."


@asynccontextmanager
async def serving(loop: str) -> AsyncIterator[tuple[str, str]]:
    """A server in a process of its own, on that loop: its port and its pin."""
    program = Path(__file__).with_name("idle_server.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), loop, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE):
            port, pin = (await process.stdout.readline()).decode().split()
            yield port, pin
            process.stdin.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def idle(stack: AsyncExitStack, count: int, address: str, pin: str | None) -> None:
    """So many more links, each used once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def link() -> None:
        async with gate:
            client = await stack.enter_async_context(tieline.connect(address, pin=pin))
            await client.call("clock.now")

    await asyncio.gather(*(link() for _ in range(count)))


async def come_to(asker: tieline.Client, number: str, wanted: int) -> None:
    """Until the server counts so many: what has ended here, or was begun anew, ends there a little later."""
    async with asyncio.timeout(DEADLINE):
        while await asker.call(number) != wanted:
            pass


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_an_idle_link_takes_little_memory(scheme: str) -> None:
    async with serving("uvloop") as (port, pin), tieline.connect(f"tcp://127.0.0.1:{port}") as asker:
        where = f"{scheme}://127.0.0.1:{port}", pin if scheme == "tls" else None
        async with AsyncExitStack() as stack:
            # What the first bring with them, imports and pools, is not what a link costs.
            await idle(stack, FEW, *where)
            before = await asker.call("resident")
            await idle(stack, MANY - FEW, *where)
            assert await asker.call("links") == MANY + 1
            assert (await asker.call("resident") - before) / (MANY - FEW) < BOUNDS[scheme]


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_an_idle_link_has_one_timer_and_no_task_and_leaves_nothing(scheme: str) -> None:
    async with serving("asyncio") as (port, pin), tieline.connect(f"tcp://127.0.0.1:{port}") as asker:
        where = f"{scheme}://127.0.0.1:{port}", pin if scheme == "tls" else None
        descriptors = await asker.call("descriptors")
        async with AsyncExitStack() as stack:
            await idle(stack, MANY, *where)
            assert await asker.call("links") == MANY + 1
            # A client that a busy machine kept from speaking was taken for a person, and has dialled again.
            await come_to(asker, "descriptors", descriptors + MANY)
            tasks, timers = await asker.call("tasks_and_timers")
        await come_to(asker, "links", 1)
        # Compared with afterwards, not with before: by now all that the server does at its start is done.
        assert await asker.call("tasks_and_timers") == [tasks, timers - MANY]
        await come_to(asker, "descriptors", descriptors)

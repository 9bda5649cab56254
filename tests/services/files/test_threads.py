"""Whose turn it is at the disk: nobody waits there for what one account has begun."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from tests.services.files.conftest import House
from tests.services.files.test_files import put

from tieline.services.files.threads import EACH, Threads


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads()
    yield threads
    await threads.close()


async def test_one_account_has_half_and_others_do_not_wait(threads: Threads) -> None:
    held, begun = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        begun.release()
        held.wait(30)

    mine = [asyncio.create_task(threads.keep("ada", hold)) for _ in range(3 * EACH)]
    for _ in range(EACH // 2):
        await asyncio.to_thread(begun.acquire)
    assert not begun.acquire(blocking=False)
    assert await threads.keep("bob", lambda: "done") == "done"
    assert await threads.look("ada", lambda: "seen") == "seen"
    held.set()
    await asyncio.gather(*mine)
    assert not threads._keeping._turns
    assert not threads._keeping._wanted


async def test_what_was_begun_goes_on_and_counts_when_nobody_waits_for_it(threads: Threads) -> None:
    held, done = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        held.wait(30)
        done.release()

    tasks = [asyncio.create_task(threads.keep("ada", hold)) for _ in range(EACH)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert threads._keeping._wanted["ada"] == EACH // 2, "those in a thread; the others were never begun"
    held.set()
    for _ in range(EACH // 2):
        await asyncio.to_thread(done.acquire)
    assert await threads.keep("ada", lambda: "again") == "again"
    assert not threads._keeping._wanted


async def test_a_slow_disk_keeps_nobody_from_looking(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = await house.login("bob")
    files, held = house.server.files, threading.Event()
    monkeypatch.setattr(files.tree, "make", lambda *args, **named: held.wait(30))
    ada = await house.login("ada")
    slow = [asyncio.create_task(ada.call("files.make", path=f"/{number}")) for number in range(50)]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        assert await bob.call("files.list", path="/")
        await put(house, "bob", "/x", b"bob's")
    assert not any(task.done() for task in slow)
    held.set()
    await asyncio.gather(*slow)

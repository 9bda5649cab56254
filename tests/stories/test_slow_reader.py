"""A slow reader hurts nobody: readers stop in the middle of a flood; the server stays small, the others are served."""

import asyncio
import json
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

import tieline

from .conftest import Machines
from .machines import DEADLINE, LONG, Machine, ServerProcess, line, login, resident

POSTS = 100_000
TEXT = "x" * 500
SLEEPERS = 4
"Readers that stop. Were the server to keep for each what it does not read, that would be far beyond GROWTH."
GROWTH = 64 * 1024 * 1024
"Bytes the server may grow by, page caches and all. The flood is over 50 MB, so 200 MB for all sleepers."
LANES = 128
SAMPLES = 200


class Flood:
    """Posts as fast as they are taken, many at once."""

    def __init__(self, client: tieline.Client, posts: int, text: str) -> None:
        self._client = client
        self._numbers = iter(range(posts))
        self._text = text

    async def post(self) -> None:
        await asyncio.gather(*(self._lane() for _ in range(LANES)))

    async def _lane(self) -> None:
        for number in self._numbers:
            await self._client.call("chat.post", room="flood", text=self._text, id=f"flood-{number}", timeout=DEADLINE)


async def delays(poster: tieline.Client, listener: tieline.Client, name: str) -> list[float]:
    """Seconds from a post to its event at somebody else, one post at a time."""
    followed = listener.subscribe(f"room/{name}")
    await followed.open()
    taken = []
    for number in range(SAMPLES):
        began = time.perf_counter()
        await poster.call("chat.post", room=name, text=str(number), id=f"{name}-{number}")
        assert (await anext(followed)).value["text"] == str(number)
        taken.append(time.perf_counter() - began)
    await followed.aclose()
    return taken


async def gapless(followed: tieline.Subscription, count: int) -> None:
    """Everything from the first to the last, each once."""
    for position in range(1, count + 1):
        event = await anext(followed)
        assert event.position == position


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


async def test_readers_that_stop_cost_the_server_little_and_the_others_nothing(
    stack: AsyncExitStack, server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())

    async def client(number: int) -> tieline.Client:
        how = login(ada.profile()) if number % 2 else {"address": server.unix}
        return await stack.enter_async_context(tieline.connect(**how))

    poster, listener, awake = [await client(number) for number in range(3)]
    following = awake.subscribe("room/flood", after=0)
    await following.open()
    before = await delays(poster, listener, "before")
    sleepers = [await client(number) for number in range(SLEEPERS)]
    asleep = [sleeper.subscribe("room/flood", after=0) for sleeper in sleepers]
    for sleeper, subscription in zip(sleepers, asleep, strict=True):
        await subscription.open()
        assert sleeper.link is not None
        sleeper.link.stream.pause_reading()
    size = resident(server.pid)
    flood = asyncio.create_task(Flood(poster, POSTS, TEXT).post())
    await gapless(following, POSTS)  # while they sleep, another reads along
    await flood
    assert resident(server.pid) - size < GROWTH
    meanwhile = await delays(poster, listener, "meanwhile")
    # A stalled neighbour that costs anything would cost each message a multiple.
    assert statistics.median(meanwhile) < 5 * statistics.median(before)
    for sleeper in sleepers:
        if sleeper.link is not None:  # else it was taken for dead meanwhile, and comes back by itself
            sleeper.link.stream.resume_reading()
    await asyncio.gather(*(gapless(subscription, POSTS) for subscription in asleep))
    assert resident(server.pid) - size < GROWTH


async def test_a_stopped_process_gets_everything_when_it_goes_on(
    stack: AsyncExitStack, server: ServerProcess, owner: Machine
) -> None:
    poster = await stack.enter_async_context(tieline.connect(server.unix))
    await poster.call("chat.post", room="flood", text="first", id="first")
    tail = await owner.start("tail", "flood", "-f", "--json")
    assert json.loads(await line(tail))["text"] == "first"
    tail.send_signal(signal.SIGSTOP)
    size = resident(server.pid)
    few = POSTS if LONG else POSTS // 5
    await Flood(poster, few, TEXT * (POSTS // few)).post()
    assert resident(server.pid) - size < GROWTH
    tail.send_signal(signal.SIGCONT)
    for position in range(2, few + 2):
        assert json.loads(await line(tail))["position"] == position

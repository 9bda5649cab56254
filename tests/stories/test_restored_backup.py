"""A server comes back with less than its clients have seen: of an older backup, or with topics that begin anew."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import tieline

from .conftest import Servers
from .machines import DEADLINE


async def take(subscription: tieline.Subscription, count: int) -> list[tuple[int, object]]:
    async with asyncio.timeout(DEADLINE):
        events = [await anext(subscription) for _ in range(count)]
    return [(event.position, event.value) for event in events]


async def texts(subscription: tieline.Subscription, count: int) -> list[tuple[int, str]]:
    return [(position, message["text"]) for position, message in await take(subscription, count)]  # type: ignore[index]


def back_up(data: Path, copy: Path) -> None:
    with closing(sqlite3.connect(data / "tieline.db")) as database:
        database.execute("VACUUM INTO ?", [str(copy)])


def restore(data: Path, copy: Path) -> None:
    for file in data.glob("tieline.db*"):
        file.unlink()
    copy.rename(data / "tieline.db")


@pytest.mark.usefixtures("hurried")
async def test_what_is_said_after_an_older_backup_came_back_reaches_who_had_read_further(
    servers: Servers, tmp_path: Path
) -> None:
    server = servers()
    await server.start()
    async with tieline.connect(server.unix) as client:

        async def say(*said: str) -> None:
            for text in said:
                await client.call("chat.post", room="lobby", text=text, id=text, timeout=DEADLINE, retry=True)

        await say("one", "two")
        back_up(server.data, tmp_path / "copy.db")
        await say("three", "four", "five")
        ahead, behind = client.subscribe("room/lobby", after=0), client.subscribe("room/lobby", after=0)
        await behind.open()
        assert len(await texts(ahead, 5)) == 5
        await server.end()
        restore(server.data, tmp_path / "copy.db")
        await server.start()
        await say("new")
        assert await texts(ahead, 1) == [(3, "new")]
        # What has come before is not taken back from who has not read it yet.
        assert (await texts(behind, 6))[-1] == (3, "new")


@pytest.mark.usefixtures("hurried")
async def test_two_readers_at_different_places_both_go_on_behind_a_restored_log(
    servers: Servers, tmp_path: Path
) -> None:
    """One was ahead of what is left, the other has still to get some of it."""
    server = servers()
    await server.start()
    long = "x" * 60_000
    async with tieline.connect(server.unix) as writer, tieline.connect(server.unix) as client:

        async def say(number: int, text: str) -> None:
            await writer.call(
                "chat.post", room="lobby", text=text, id=text[:9] + str(number), timeout=DEADLINE, retry=True
            )

        slow, quick = client.subscribe("room/lobby", after=0), client.subscribe("room/lobby", after=0)
        await slow.open()
        await quick.open()
        for number in range(1, 41):  # more than a reader's queue takes: the slow one lets go
            await say(number, long)
            await take(quick, 1)
            if number == 30:
                back_up(server.data, tmp_path / "copy.db")
        assert slow.lagging
        await server.end()
        restore(server.data, tmp_path / "copy.db")
        await server.start()
        await say(31, "new")
        assert await texts(quick, 1) == [(31, "new")]
        found = await texts(slow, 31)
        assert [position for position, _ in found] == list(range(1, 32))
        assert found[-1] == (31, "new")


@pytest.mark.usefixtures("hurried")
async def test_a_topic_held_in_memory_begins_anew_with_its_server(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"

    def made() -> tuple[tieline.Server, tieline.Topic]:
        server = tieline.Server(guests=True)
        return server, server.topic("visits")

    server, visits = made()
    async with server.serving(address):
        client_of = tieline.connect(address)
        client = await client_of.__aenter__()
        subscription = client.subscribe("visits")
        await subscription.open()
        for number in range(5):
            visits.publish(number)
        assert len(await take(subscription, 5)) == 5
    server, visits = made()
    try:
        async with server.serving(address):
            await client.call("clock.now", timeout=DEADLINE)
            visits.publish("anew")
            assert await take(subscription, 1) == [(1, "anew")]
    finally:
        await client_of.__aexit__(None, None, None)

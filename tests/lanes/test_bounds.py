"""What a caller with a token may not do: sizes that are none, endless holes and lists, files without marks."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import msgspec
import pytest
from blake3 import blake3
from tests.files.conftest import House

import tieline
from tieline.errors import CallError, LinkClosed, LinkError
from tieline.lanes.connection import Lane
from tieline.lanes.dial import dial_lane
from tieline.limits import DEFAULT, Limits, MiB
from tieline.wire.lane import BLOCK, HEADER, Kind, hole_frame, mark_frame
from tieline.wire.lane_messages import (
    ROOTS,
    Batch,
    End,
    File,
    From,
    Get,
    Kept,
    Put,
    Ready,
    Seen,
    SeenAll,
    Small,
    message_frame,
)

HUGE = 1 << 62


@pytest.fixture
def limits() -> Limits:
    return msgspec.structs.replace(DEFAULT, lane_told=5000)


async def opened(house: House, stack: AsyncExitStack, peer: tieline.Client | None = None) -> Lane:
    peer = peer or await house.login(stack, "ada")
    token: bytes = await peer.call("files.lane", returns=bytes)
    lane = await asyncio.to_thread(dial_lane, peer.address, token)
    stack.callback(lane.close)
    return lane


def end(lane: Lane) -> None:
    """Reads to the lane's end, which is to come."""
    for _ in range(100):
        lane.message(20)
    raise AssertionError("it goes on and on")


def block(offset: int, size: int) -> bytes:
    return HEADER.pack(size, Kind.DATA) + bytes(size)


NEGATIVE = msgspec.msgpack.encode([13, 0, [], -(1 << 50), 0o644, 1, b"s" * 16])

ILLEGAL: dict[str, Callable[[], bytes]] = {
    "a negative size": lambda: HEADER.pack(len(NEGATIVE), Kind.MESSAGE) + NEGATIVE,
    "a time out of range": lambda: _raw([13, 0, [], 1, 0o644, 1 << 63, b"s" * 16]),
    "a hole beyond a block": lambda: _file() + message_frame(From(0)) + hole_frame(HUGE),
    "bytes without a mark": lambda: _file() + message_frame(From(0)) + block(0, BLOCK) + block(0, 1),
    "holes without a mark": lambda: _file() + message_frame(From(0)) + hole_frame(BLOCK) + hole_frame(1),
    "from where nothing is": lambda: _file() + message_frame(From(BLOCK)),
    "from, again and again": lambda: _file() + message_frame(From(0)) + message_frame(From(0)),
    "an end without a mark": lambda: _file() + message_frame(From(0)) + block(0, 1) + _raw([15]),
    "a batch of other bytes": lambda: message_frame(Batch(0, [], [Small("", 5, 0, 0, b"")])) + block(0, 4),
    "a root that was not named": lambda: message_frame(Batch(7, [], [Small("", 1, 0, 0, b"")])) + block(0, 1),
    "an answer where none is due": lambda: message_frame(Kept(1)),
}


def _raw(message: list[object]) -> bytes:
    payload = msgspec.msgpack.encode(message)
    return HEADER.pack(len(payload), Kind.MESSAGE) + payload


def _file() -> bytes:
    return message_frame(File(0, [], 100 * MiB, 0o644, 1, b"s" * 16))


@pytest.mark.parametrize("case", ILLEGAL)
async def test_what_is_not_legal_ends_the_lane_and_leaves_nothing(
    house: House, stack: AsyncExitStack, case: str
) -> None:
    lane = await opened(house, stack)
    lane.say(Put(["/x"]))
    assert await asyncio.to_thread(lane.message) == SeenAll()
    lane.send(ILLEGAL[case]())
    with pytest.raises((LinkError, CallError)):
        await asyncio.to_thread(end, lane)
    while len(house.server.lanes):  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0.01)
    assert not (house.files / "x").exists()
    assert house.server.files.quota._reserved == {}


async def test_holes_are_counted_like_bytes(house: House, stack: AsyncExitStack) -> None:
    house.server.files.quota.each = 10 * MiB
    lane = await opened(house, stack)
    lane.say(Put(["/x"]))
    await asyncio.to_thread(lane.message)
    lane.say(File(0, [], None, 0o644, 1, b"s" * 16))
    assert await asyncio.to_thread(lane.message) == Ready()
    lane.say(From(0))

    def pour() -> str:
        hasher = blake3()
        for number in range(1, 5):
            hasher.update(bytes(BLOCK))
            lane.send(hole_frame(BLOCK) + mark_frame(number * BLOCK, hasher.digest()))
            if type(answer := lane.message()).__name__ == "No":
                return str(answer)
        return ""

    assert "do not fit" in await asyncio.to_thread(pour)


async def test_more_roots_than_anybody_needs_are_refused(house: House, stack: AsyncExitStack) -> None:
    lane = await opened(house, stack)
    lane.send(message_frame(Put(["/x"] * (ROOTS + 1))))
    with pytest.raises(LinkClosed):
        await asyncio.to_thread(end, lane)


async def test_who_tells_of_files_without_end_is_cut(house: House, stack: AsyncExitStack) -> None:
    lane = await opened(house, stack)
    lane.say(Get(["/x"]))

    def tell() -> None:
        for number in range(100):
            lane.say(Seen(0, [str(number)], [(f"{number}-{each}", 1, 1) for each in range(1000)]))
        end(lane)

    with pytest.raises(LinkError):
        await asyncio.to_thread(tell)


async def test_a_flood_of_refusals_is_answered_in_groups(house: House, stack: AsyncExitStack) -> None:
    lane = await opened(house, stack)
    lane.say(Put(["/x"]))
    await asyncio.to_thread(lane.message)

    def flood() -> int:
        for _ in range(10):
            files = [Small(f"{number}:" + "é" * 100, 0, 0, 0, b"wrong") for number in range(400)]
            lane.send(message_frame(Batch(0, [], files)) + HEADER.pack(0, Kind.DATA))
        lane.say(End())
        failures = 0
        while isinstance(message := lane.message(30), Kept):
            failures += len(message.failures)
        return failures

    assert await asyncio.to_thread(flood) == 4000


async def test_a_server_that_stops_keeps_what_came(house: House, stack: AsyncExitStack) -> None:
    """A graceful stop must not throw away what a kill leaves."""
    lane = await opened(house, stack)
    lane.say(Put(["/x"]))
    await asyncio.to_thread(lane.message)
    lane.say(File(0, [], 100 * MiB, 0o644, 1, b"s" * 16))
    await asyncio.to_thread(lane.message)
    lane.send(message_frame(From(0)) + block(0, BLOCK) + mark_frame(BLOCK, blake3(bytes(BLOCK)).digest()))
    await asyncio.to_thread(lane.message)
    await house.server.lanes.close(0.0)
    (kept,) = (house.files / ".tieline-staging").iterdir()
    assert kept.stat().st_size == BLOCK


async def test_the_same_file_by_a_second_lane_goes_on_where_the_first_hangs(
    house: House, stack: AsyncExitStack
) -> None:
    peer = await house.login(stack, "ada")
    first, second = await opened(house, stack, peer), await opened(house, stack, peer)
    for lane in (first, second):
        lane.say(Put(["/x"]))
        await asyncio.to_thread(lane.message)
    first.say(File(0, [], 100 * MiB, 0o644, 1, b"s" * 16))
    assert await asyncio.to_thread(first.message) == Ready()
    digest = blake3(bytes(BLOCK)).digest()
    first.send(message_frame(From(0)) + block(0, BLOCK) + mark_frame(BLOCK, digest))
    await asyncio.to_thread(first.message)
    second.say(File(0, [], 100 * MiB, 0o644, 1, b"s" * 16))
    assert (await asyncio.to_thread(second.header))[0] is Kind.MARK
    assert second.mark() == (BLOCK, digest)
    with pytest.raises((LinkError, CallError)):
        await asyncio.to_thread(end, first)

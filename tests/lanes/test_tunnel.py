"""A lane's bytes within a call: all of them, both ways, and an end on either side is one on the other."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tieline.errors import LinkClosed
from tieline.lanes.tunnel import carried

DEADLINE = 30


async def pieces_of(data: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]
    if error is not None:
        raise error


def echo(sock: socket.socket) -> int:
    """All that comes goes back; how much that was. In a thread, as lanes are."""
    size = 0
    with sock, suppress(ConnectionError):  # a lane that is cut may well be reset
        while data := sock.recv(1 << 16):
            size += len(data)
            sock.sendall(data)
    return size


async def test_everything_comes_through_and_an_end_is_passed_on() -> None:
    near, far = socket.socketpair()
    data = os.urandom(3_000_000)
    echoing = asyncio.create_task(asyncio.to_thread(echo, far))
    async with asyncio.timeout(DEADLINE):
        assert b"".join([piece async for piece in carried(pieces_of(data), near)]) == data
        assert await echoing == len(data)


async def test_a_caller_that_is_lost_cuts_the_lane() -> None:
    near, far = socket.socketpair()
    echoing = asyncio.create_task(asyncio.to_thread(echo, far))
    async with asyncio.timeout(DEADLINE):
        async for _ in carried(pieces_of(b"hello", LinkClosed("gone")), near):
            pass
        assert await echoing <= 5


async def test_a_caller_that_reads_no_more_cuts_the_lane() -> None:
    near, far = socket.socketpair()
    echoing = asyncio.create_task(asyncio.to_thread(echo, far))
    stream = carried(endless(), near)
    async with asyncio.timeout(DEADLINE):
        assert await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        await echoing


@pytest.mark.parametrize("tail", [b"", b"bye"])
async def test_a_lane_that_ends_ends_the_call_though_its_caller_goes_on(tail: bytes) -> None:
    near, far = socket.socketpair()
    far.sendall(tail)
    far.close()
    async with asyncio.timeout(DEADLINE):
        assert b"".join([piece async for piece in carried(endless(), near)]) == tail


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(1000)
        await asyncio.sleep(0)

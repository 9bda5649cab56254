"""A transport of one's own, here a pair of Unix sockets, held to what every transport owes."""

import asyncio
import socket

from tieline import testing
from tieline.transports.stream import Receiver, Stream


async def connected(near: Receiver, far: Receiver) -> tuple[Stream, Stream]:
    """Two ends, joined."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    _, one = await loop.connect_accepted_socket(lambda: Stream(near), here)
    _, other = await loop.connect_accepted_socket(lambda: Stream(far), there)
    return one, other


async def test_it_does_what_is_owed() -> None:
    await testing.check_transport(connected)

"""Our own transports pass the checks we hand to authors of others; a transport with a fault does not."""

import asyncio
import socket

import pytest

from tieline.testing import transports
from tieline.testing.transports import CHECKS, Check, Recorder
from tieline.transports import memory
from tieline.transports.stream import Receiver, Stream


async def over_memory(near: Receiver, far: Receiver) -> tuple[Stream, Stream]:
    return memory.pair(near, far)


async def over_unix(near: Receiver, far: Receiver) -> tuple[Stream, Stream]:
    a, b = socket.socketpair()
    loop = asyncio.get_running_loop()
    _, one = await loop.connect_accepted_socket(lambda: Stream(near), a)
    _, two = await loop.connect_accepted_socket(lambda: Stream(far), b)
    return one, two


async def over_tcp(near: Receiver, far: Receiver) -> tuple[Stream, Stream]:
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[Stream] = loop.create_future()

    def accept() -> Stream:
        stream = Stream(far)
        loop.call_soon(accepted.set_result, stream)
        return stream

    listener = await loop.create_server(accept, "127.0.0.1", 0)
    _, one = await loop.create_connection(lambda: Stream(near), *listener.sockets[0].getsockname()[:2])
    two = await accepted
    listener.close()
    return one, two


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("connected", [over_memory, over_unix, over_tcp], ids=lambda make: make.__name__)
async def test_our_transports_do_what_is_owed(connected: transports.Connected, check: Check) -> None:
    await check(connected)


class Forgetful(memory.MemoryStream):
    """Loses every third write."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes = getattr(self, "writes", 0) + 1
        if self.writes % 3:
            super().write(data)


async def test_a_transport_that_loses_bytes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MemoryStream", Forgetful)
    original = Recorder.until

    async def impatient(self: Recorder, condition: object, what: str, patience: float = 0) -> None:
        await original(self, condition, what, 0.05)  # type: ignore[arg-type]

    monkeypatch.setattr(Recorder, "until", impatient)
    with pytest.raises(AssertionError, match="everything written arrives"):
        await transports.check_transport(over_memory)

"""The client's first link: what it forgives, and what it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import tieline
from tieline.errors import DialFailed, PlainRefused

GREETING = b"vm: a Tieline server. What is your name?\r\n"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def front(port: int, greeted: int, greeting: bytes = GREETING) -> AsyncIterator[tuple[int, list[int]]]:
    """A port where the first so many callers are greeted; the others reach the server. And who has come."""
    callers: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(len(callers))
        if len(callers) <= greeted:
            writer.write(greeting)
            await reader.read(1)
        else:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1], callers


async def test_a_caller_who_spoke_too_late_and_was_taken_for_a_person_calls_again() -> None:
    server = tieline.Server(guests=True)
    async with (
        server.serving("tcp://127.0.0.1:0") as [address],
        front(int(address.rpartition(":")[2]), greeted=1) as (port, callers),
    ):
        async with tieline.connect(f"tcp://127.0.0.1:{port}") as peer:
            assert await peer.call("echo.upper", text="hello", timeout=20) == "HELLO"
        assert callers == [0, 1]


async def test_who_takes_everybody_for_a_person_is_given_up() -> None:
    async with front(0, greeted=100) as (port, callers):
        with pytest.raises(DialFailed, match=r"another program, whose answer begins with b'.*check the port"):
            async with tieline.connect(f"tcp://127.0.0.1:{port}"):
                pass
        assert len(callers) == 3


@pytest.mark.parametrize(
    ("greeting", "error"),
    [(b"SSH-2.0-OpenSSH_9.2p1\r\n", DialFailed), (f"{PlainRefused()}\r\n".encode(), PlainRefused)],
    ids=["another program", "plain text refused"],
)
async def test_an_answer_that_will_not_change_is_believed_at_once(greeting: bytes, error: type[Exception]) -> None:
    async with front(0, greeted=100, greeting=greeting) as (port, callers):
        with pytest.raises(error):
            async with tieline.connect(f"tcp://127.0.0.1:{port}"):
                pass
        assert len(callers) == 1


async def test_who_says_no_address_is_told_of_profiles_too() -> None:
    with pytest.raises(tieline.AddressError, match=r"is empty; .* profile="):
        async with tieline.connect():
            pass

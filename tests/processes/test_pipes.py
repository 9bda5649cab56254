"""Pipes on the loop: as much as is taken, in order, to the end; on asyncio's loop and on uvloop."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from tieline.errors import LinkClosed
from tieline.processes.pipes import Reader, Writer

Case = Callable[[], Awaitable[None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Case], None]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(case: Case) -> None:
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(asyncio.wait_for(case(), 20))  # type: ignore[arg-type]

    return runner


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    chance = random.Random(1)
    at = 0
    while at < len(data):
        size = chance.choice([1, 10, 4096, 200_000])
        yield data[at : at + size]
        at += size


def test_what_is_fed_is_read(run: Callable[[Case], None]) -> None:
    data = random.Random(2).randbytes(3_000_000)

    async def case() -> None:
        reading, writing = os.pipe()
        reader, writer = Reader(reading), Writer(writing)
        got = bytearray()
        feeding = asyncio.ensure_future(writer.feed(pieces(data)))
        assert await reader.read(lambda view: got.extend(view), lambda: 50_000) is False
        await feeding
        assert got == data
        assert reader.total == len(data)

    run(case)


def test_the_end_is_told_as_it_is_found(run: Callable[[Case], None]) -> None:
    async def case() -> None:
        reading, writing = os.pipe()
        os.write(writing, b"all")
        os.close(writing)
        reader = Reader(reading)
        got = bytearray()
        found: list[tuple[bytes, bool]] = []
        pause: asyncio.Future[bool] = asyncio.ensure_future(reader.read(got.extend, lambda: 100))
        reader.at_end = lambda: found.append((bytes(got), pause.done()))
        assert await pause is False
        assert found == [(b"all", False)]

    run(case)


def test_a_reader_takes_no_more_than_there_is_room_for(run: Callable[[Case], None]) -> None:
    async def case() -> None:
        reading, writing = os.pipe()
        os.write(writing, b"x" * 1000)
        reader = Reader(reading)
        got = bytearray()
        assert await reader.read(lambda view: got.extend(view), lambda: 300 - len(got)) is True
        assert len(got) == 300
        os.close(writing)
        assert await reader.read(lambda view: got.extend(view), lambda: 10_000) is False
        assert len(got) == 1000

    run(case)


def test_a_reader_that_goes_away_ends_the_feeding_also_while_the_pipe_is_full(run: Callable[[Case], None]) -> None:
    async def case() -> None:
        reading, writing = os.pipe()
        feeding = asyncio.ensure_future(Writer(writing).feed(pieces(bytes(3_000_000))))
        for _ in range(100):
            await asyncio.sleep(0)  # it fills the pipe, and waits
        os.close(reading)
        await feeding

    run(case)


def test_writing_to_a_closed_end_is_a_broken_pipe(run: Callable[[Case], None]) -> None:
    async def case() -> None:
        reading, writing = os.pipe()
        os.close(reading)
        writer = Writer(writing)
        with pytest.raises(BrokenPipeError):
            await writer.write(b"x")
        writer.close()
        with pytest.raises(BrokenPipeError):
            await writer.write(b"x")

    run(case)


def test_closing_while_it_reads_ends_the_reading(run: Callable[[Case], None]) -> None:
    async def case() -> None:
        reading, writing = os.pipe()
        reader = Reader(reading)
        waiting = asyncio.ensure_future(reader.read(lambda view: None, lambda: 100))
        await asyncio.sleep(0)
        reader.close()
        assert await waiting is False
        os.close(writing)

    run(case)


def test_a_source_that_breaks_off_is_no_end_of_input(run: Callable[[Case], None]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a part"
        raise LinkClosed

    async def case() -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        writer = Writer(writing)
        await writer.feed(broken())
        assert os.read(reading, 100) == b"a part"
        with pytest.raises(BlockingIOError):  # not b"", which would be the end
            os.read(reading, 100)
        writer.close()
        assert os.read(reading, 100) == b""
        os.close(reading)

    run(case)


def test_closing_while_it_waits_leaves_nothing_in_the_loop(run: Callable[[Case], None]) -> None:
    async def case() -> None:
        reading, writing = os.pipe()
        writer = Writer(writing)
        waiting = asyncio.ensure_future(writer.write(bytes(3_000_000)))
        for _ in range(10):
            await asyncio.sleep(0)
        writer.close()
        again, number = os.pipe()  # the number that was closed just now
        other = Writer(number)
        sending = asyncio.ensure_future(other.feed(pieces(bytes(300_000))))
        with pytest.raises(BrokenPipeError):
            await waiting
        got = bytearray()
        assert await Reader(again).read(lambda view: got.extend(view), lambda: 100_000) is False
        await sending
        assert len(got) == 300_000
        os.close(reading)

    run(case)

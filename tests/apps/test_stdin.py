"""Lines of standard input, whatever it is and however they come."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tieline.apps.cli.stdin import stdin_lines

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            pass


async def lines_of(pipe: Pipe, *pieces: bytes) -> list[str]:
    reading, writing = pipe
    for piece in pieces:
        os.write(writing, piece)
    os.close(writing)
    return [line async for line in stdin_lines(reading)]


async def test_lines_are_cut_at_newlines_only_and_the_last_may_lack_one(pipe: Pipe) -> None:
    assert await lines_of(pipe, b"one\r\n\ntw", "o\x0bü\u2028\nthree".encode()) == [
        "one",
        "",
        "two\x0bü\u2028",
        "three",
    ]


async def test_no_input_is_no_line(pipe: Pipe) -> None:
    assert await lines_of(pipe) == []


async def test_bytes_that_are_no_text_are_shown_and_not_lost(pipe: Pipe) -> None:
    assert await lines_of(pipe, b"a\xff\n") == ["a\\xff"]


async def test_a_line_comes_while_the_writer_is_still_there(pipe: Pipe) -> None:
    reading, writing = pipe
    lines = stdin_lines(reading)
    os.write(writing, b"one\n")
    async with asyncio.timeout(10):
        assert await anext(lines) == "one"
    os.close(writing)
    assert [line async for line in lines] == []


async def test_a_large_file_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"".join(b"line %d\n" % number for number in range(100_000)))
    descriptor = os.open(file, os.O_RDONLY)
    try:
        count = 0
        async for line in stdin_lines(descriptor):
            assert line == f"line {count}"
            count += 1
    finally:
        os.close(descriptor)
    assert count == 100_000

"""Streams over real sockets, on both kinds of loop: what is written when nobody can read any more, and long reads."""

import asyncio
import logging
import socket
import struct

import pytest
import uvloop

from tieline.testing.transports import Recorder
from tieline.transports.stream import READ_BUFFER, Stream

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine on each kind of loop."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


async def joined(receiver):
    """A stream, and the bare socket at its other end."""
    near, far = socket.socketpair()
    far.setblocking(False)
    stream = Stream(receiver)
    await asyncio.get_running_loop().create_connection(lambda: stream, sock=near)
    return stream, far


def test_what_is_written_to_a_peer_that_is_gone_is_lost_without_a_word_and_the_end_comes_once(run, caplog):
    async def story():
        receiver = Recorder()
        stream, far = await joined(receiver)
        far.close()
        for _ in range(50):
            stream.write(b"news")
        await receiver.until(lambda: bool(receiver.ends), "the end")
        counted = stream.bytes_out
        stream.write(b"too late")
        assert stream.bytes_out == counted
        await asyncio.sleep(0)
        assert len(receiver.ends) == 1

    with caplog.at_level(logging.WARNING):
        run(story())
    assert not caplog.records


@pytest.mark.parametrize("end", [Stream.close, Stream.abort])
def test_nothing_is_sent_or_counted_after_this_side_has_closed(run, end):
    async def story():
        stream, far = await joined(Recorder())
        with far:
            stream.write(b"before")
            await asyncio.sleep(0)
            end(stream)
            stream.write(b"after")
            assert stream.bytes_out == len(b"before")
            assert await read_all(far) == b"before"

    run(story())


def test_of_a_short_read_bytes_are_given_which_may_be_kept_and_of_a_long_one_all_of_it(run):
    async def story():
        receiver = Recorder()
        stream, far = await joined(receiver)
        long = struct.pack("!I", 7) * (READ_BUFFER // 2)
        with far:
            await asyncio.get_running_loop().sock_sendall(far, b"short")
            await asyncio.get_running_loop().sock_sendall(far, long)
        await receiver.until(lambda: len(receiver.data) == 5 + len(long), "all of it")
        assert receiver.data == b"short" + long
        stream.close()
        await receiver.until(lambda: bool(receiver.ends), "the end")

    run(story())


async def read_all(sock):
    loop, data = asyncio.get_running_loop(), b""
    async with asyncio.timeout(60):
        while piece := await loop.sock_recv(sock, 1000):
            data += piece
    return data

"""A hundred honest callers of a raw listener, while others do everything that breaks a learner's server."""

import asyncio
import socket
import struct
import threading

import pytest

import tieline
from tieline.limits import KiB

LIMITS = tieline.Limits(frame=64 * KiB, window=64 * KiB, send_buffer=64 * KiB, idle=5)


async def shout(link):
    async for message in link:
        await link.send(message.upper())


class Bare(threading.Thread):
    """One caller with the socket module only, in a thread of its own; what went wrong is in `.error`."""

    def __init__(self, port, what):
        super().__init__()
        self.port, self.what, self.error = port, what, None
        self.start()

    def run(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
                self.what(sock)
        except Exception as error:
            self.error = error


def honest(sock):
    with sock.makefile("rb") as lines:
        for word in (b"one", b"", b"three"):
            sock.sendall(word + b"\n")
            assert lines.readline() == word.upper() + b"\n"


def drops_in_the_middle(sock):
    sock.sendall(b"half a li")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def a_byte_at_a_time(sock):
    for byte in b"slowly\n":
        sock.sendall(bytes([byte]))
    assert sock.recv(100) == b"SLOWLY\n"


def two_in_a_packet(sock):
    sock.sendall(b"one\ntwo\n")
    with sock.makefile("rb") as lines:
        assert [lines.readline(), lines.readline()] == [b"ONE\n", b"TWO\n"]


def _pour(sock, data):
    while True:
        sock.sendall(data)


def a_line_without_end(sock):
    with pytest.raises(ConnectionError):
        _pour(sock, b"x" * 1024)


def floods_and_never_reads(sock):
    sock.settimeout(0.3)
    with pytest.raises(TimeoutError):  # the server stopped reading: what it holds for this caller is bounded
        _pour(sock, b"flood\n" * 10_000)


def not_text(sock):
    sock.sendall(b"\xff\xfe\n")
    assert sock.recv(100) == b""


def half_closes(sock):
    sock.sendall(b"last words")
    sock.shutdown(socket.SHUT_WR)
    assert sock.recv(100) == b"LAST WORDS\n"
    assert sock.recv(100) == b""


async def test_the_honest_are_served_whatever_the_others_do(caplog):
    async with tieline.listen("tcp://127.0.0.1:0", shout, codec=tieline.Lines(), limits=LIMITS) as listener:
        bad = [
            drops_in_the_middle,
            a_byte_at_a_time,
            two_in_a_packet,
            a_line_without_end,
            floods_and_never_reads,
            not_text,
            half_closes,
        ]
        callers = [Bare(listener.port, what) for what in bad * 3 + [honest] * 100]
        for caller in callers:
            await asyncio.to_thread(caller.join, 20)
        assert [(caller.what.__name__, caller.error) for caller in callers if caller.error or caller.is_alive()] == []
        async with asyncio.timeout(5):
            while listener.links:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.exc_info]

"""TLS over a lane's socket: a handshake that ends in time, and keys that change."""

import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from tests.transports.key_updates import KeyUpdates

from tieline.errors import LinkClosed
from tieline.lanes.connection import Lane
from tieline.lanes.tls import Tls
from tieline.limits import DEFAULT, KiB
from tieline.transports.certificate import make_certificate
from tieline.transports.tls import LANE, client_context, server_context

PAIR = make_certificate(["localhost"])


@pytest.mark.requires("openssl")
def test_a_key_that_changes_changes_nothing_else() -> None:
    """openssl's client asks for new keys of both sides (its `K`); a lane that only reads answers with its next word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        command = ["openssl", "s_client", "-connect", where]
        caller = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert caller.stdin is not None
        assert caller.stdout is not None
        sock, _ = listener.accept()
        try:
            secured = Tls(sock, server_context(*PAIR), server=True)
            secured.handshake(30)
            lane = Lane(secured)
            heard = b""
            for number, (line, answer) in enumerate(
                [
                    (b"one\n", b"<one"),
                    (b"K\n", b"KEYUPDATE"),
                    (b"two\n", b"<two"),
                    (b"k\n", b"KEYUPDATE"),
                    (b"3\n", b"<3"),
                ]
            ):
                caller.stdin.write(line)
                caller.stdin.flush()
                if number % 2 == 0:
                    assert lane.exactly(len(line)) == line
                    lane.send(b"<" + line)
                while answer not in heard:  # the caller takes a letter for a command only when it comes alone
                    heard += os.read(caller.stdout.fileno(), 65536)
                heard = b""
        finally:
            sock.close()
            caller.kill()
            caller.communicate()


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("way", ["silent", "slow", "gone", "garbage"])
def test_a_handshake_that_comes_to_nothing_ends_in_time(server: bool, way: str) -> None:
    mine, other = socket.socketpair()
    over = threading.Event()

    def talk() -> None:
        if way == "gone":
            other.shutdown(socket.SHUT_WR)
        elif way == "garbage":
            other.sendall(b"\x16\x03\x03\x00\x05hello")
        elif way == "slow":
            other.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.02):  # each byte in time, all of them not
                other.sendall(b"\x01")

    thread = threading.Thread(target=talk)
    thread.start()
    context = server_context(*PAIR) if server else client_context("pin")
    with pytest.raises(OSError) as caught:
        Tls(mine, context, server=server).handshake(0.3)
    over.set()
    thread.join(30)
    late = "silent", "slow"
    assert type(caught.value) is TimeoutError if way in late else not isinstance(caught.value, TimeoutError)
    if way == "garbage":
        other.settimeout(20)
        told = other.recv(65536)
        while told and told[0] != 21:  # behind our own hello
            told = told[5 + int.from_bytes(told[3:5], "big") :]
        assert told, "nobody was told why"
    mine.close()
    other.close()


@pytest.fixture
def ends() -> Iterator[tuple[Tls, socket.socket, KeyUpdates]]:
    """A lane's TLS, and a caller at the other end of its socket."""
    mine, other = socket.socketpair()
    with mine, other:
        secured = Tls(mine, server_context(*PAIR), server=True)
        shaking = threading.Thread(target=secured.handshake, args=(30,))
        shaking.start()
        asking = KeyUpdates(other, LANE)
        shaking.join()
        yield secured, other, asking


def test_who_asks_for_new_keys_and_opens_nothing_is_cut(ends: tuple[Tls, socket.socket, KeyUpdates]) -> None:
    secured, other, asking = ends

    def ask() -> None:
        with suppress(OSError):
            for _ in range(10_000):
                other.sendall(asking.more())

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(LinkClosed, match="asks for new keys"):
        Lane(secured, msgspec.structs.replace(DEFAULT, lane_idle=5.0)).message()
    assert secured._outgoing.pending < 128 * KiB
    secured.sock.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_who_says_much_that_is_nothing_does_not_keep_the_reader(ends: tuple[Tls, socket.socket, KeyUpdates]) -> None:
    """A lane looks at its deadlines while it cannot read, so reading must come to an end though more has come."""
    secured, other, asking = ends
    other.sendall(b"".join(asking.more(asked=False) for _ in range(2000)))
    with pytest.raises(BlockingIOError):
        secured.read(memoryview(bytearray(5)))
    assert select.select([secured.sock], [], [], 0)[0]

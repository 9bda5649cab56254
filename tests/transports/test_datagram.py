"""A UDP socket on the loop: batches, floods, closing in the middle, a full buffer."""

import asyncio
import socket

import pytest

from tieline.errors import LinkClosed
from tieline.transports.address import parse
from tieline.transports.datagram import DatagramSocket
from tieline.transports.datagram_sockets import bound, towards


class Kept:
    def __init__(self):
        self.datagrams, self.errors = [], []
        self.on_datagram = lambda: None

    def received(self, datagram, sender):
        self.datagrams.append(datagram)
        self.on_datagram()

    def unreachable(self, error):
        self.errors.append(error)


@pytest.fixture
async def make():
    made = []

    def one(sock=None, size=100, batch=64):
        [sock] = [sock] if sock else bound(parse("udp://127.0.0.1:0"))
        kept = Kept()
        kept.socket = DatagramSocket(sock, kept, size=size, batch=batch)
        kept.place = sock.getsockname()
        kept.socket.start()
        made.append(kept.socket)
        return kept

    yield one
    for each in made:
        each.close()


@pytest.fixture
def caller():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        yield sock


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_each_datagram_is_one_and_empty_ones_are_too(make, caller):
    kept = make()
    for datagram in (b"one", b"", b"two", b""):
        caller.sendto(datagram, kept.place)
    await until(lambda: len(kept.datagrams) == 4)
    assert kept.datagrams == [b"one", b"", b"two", b""]


async def test_a_cut_off_one_is_known_by_its_length(make, caller):
    kept = make(size=10)
    for size in (10, 11, 5000):
        caller.sendto(b"x" * size, kept.place)
    await until(lambda: len(kept.datagrams) == 3)
    assert [len(datagram) for datagram in kept.datagrams] == [10, 11, 11]


async def test_a_flood_leaves_the_loop_its_turns(make, caller):
    kept = make(batch=8)
    for _ in range(40):
        caller.sendto(b"x", kept.place)
    most = 0
    async with asyncio.timeout(5):
        while len(kept.datagrams) < 40:
            before = len(kept.datagrams)
            await asyncio.sleep(0)
            most = max(most, len(kept.datagrams) - before)
    assert 0 < most <= 8


async def test_closing_while_datagrams_come_ends_it_there(make, caller):
    kept = make()
    for _ in range(10):
        caller.sendto(b"x", kept.place)
    kept.on_datagram = kept.socket.close
    await until(lambda: kept.socket.closed)
    await asyncio.sleep(0)
    assert kept.datagrams == [b"x"]
    assert kept.errors == []


async def test_sending_after_the_end_says_so(make):
    kept = make()
    kept.socket.close()
    kept.socket.close()
    with pytest.raises(LinkClosed):
        await kept.socket.send(b"x", kept.place)


async def test_nobody_there_is_told_to_a_connected_socket_only(make, caller):
    gone = make()
    gone.socket.close()
    kept = make(towards(parse(f"udp://127.0.0.1:{gone.place[1]}"), None)[0])
    assert kept.socket.connected
    await kept.socket.send(b"anybody?", gone.place)
    await until(lambda: kept.errors)
    assert isinstance(kept.errors[0], ConnectionRefusedError)
    other = make()
    await other.socket.send(b"anybody?", gone.place)
    caller.sendto(b"still here", other.place)
    await until(lambda: other.datagrams)
    assert other.errors == []


async def test_a_full_buffer_makes_the_sender_wait(make, caller):
    """UDP on loopback is never full, so the socket is told to say it is."""
    kept = make()
    left = [2]
    plain = kept.socket.sendto

    def full(datagram, to):
        if left[0]:
            left[0] -= 1
            raise BlockingIOError
        return plain(datagram, to)

    kept.socket.sendto = full
    caller.bind(("127.0.0.1", 0))
    await asyncio.gather(*(kept.socket.send(b"x", caller.getsockname()) for _ in range(3)))
    assert [caller.recv(10) for _ in range(3)] == [b"x"] * 3


async def test_who_waits_for_room_hears_of_the_end(make):
    kept = make()

    def full(datagram, to):
        raise BlockingIOError

    kept.socket.sendto = full
    sending = asyncio.ensure_future(kept.socket.send(b"x", kept.place))
    await asyncio.sleep(0)
    kept.socket.close()
    with pytest.raises(LinkClosed):
        await sending

"""`tieline.datagrams` with a key, over real sockets and through a network that we hold in our hands."""

import asyncio
import os
import socket

import pytest

import tieline
from tieline.limits import Limits
from tieline.transports.address import parse
from tieline.wire.sealed import OVERHEAD

from .conftest import until

ANY = "udp://127.0.0.1:0"
KEY = b"k" * 32
QUICK = Limits(opening=0.3, ping=0.2)


def upper(message, sender):
    return message.upper()


@pytest.fixture(autouse=True)
async def left(nothing_is_left):
    pass


class Between(asyncio.DatagramProtocol):
    """Sits between one client and the server, and keeps a copy of everything."""

    def __init__(self, server):
        self.server = parse(server)
        self.to_server, self.to_client = [], []
        self.client = None

    def connection_made(self, transport):
        self.transport = transport
        self.address = "udp://{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data, addr):
        server = (self.server.host, self.server.port)
        if addr == server:
            self.to_client.append(data)
            self.transport.sendto(data, self.client)
        else:
            self.client = addr
            self.to_server.append(data)
            self.transport.sendto(data, server)

    def again(self, data):
        self.transport.sendto(data, (self.server.host, self.server.port))


@pytest.fixture
async def between():
    opened = []

    async def make(server):
        loop = asyncio.get_running_loop()
        transport, one = await loop.create_datagram_endpoint(lambda: Between(server), local_addr=("127.0.0.1", 0))
        opened.append(transport)
        return one

    yield make
    for transport in opened:
        transport.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("key", [KEY, "correct horse battery"], ids=["32 bytes", "passphrase"])
async def test_who_holds_the_key_is_answered(key):
    async with tieline.datagrams(ANY, upper, key=key) as server:
        async with tieline.datagrams(to=server.address, key=key) as client:
            assert await client.request(b"hello") == b"HELLO"
            assert await client.request(b"") == b""
        assert server.counts.dropped == {}


async def test_a_verified_answer_may_be_larger_than_the_question():
    async with (
        tieline.datagrams(ANY, lambda message, sender: message * 1000, key=KEY) as server,
        tieline.datagrams(to=server.address, key=KEY) as client,
    ):
        assert await client.request(b"x") == b"x" * 1000


async def test_the_largest_message_leaves_room_for_the_seal():
    async with (
        tieline.datagrams(ANY, upper, key=KEY) as server,
        tieline.datagrams(to=server.address, key=KEY) as client,
    ):
        assert client.longest == 65_507 - OVERHEAD
        assert await client.request(b"x" * client.longest) == b"X" * client.longest
        with pytest.raises(tieline.LimitExceeded, match="datagram"):
            await client.send(b"x" * (client.longest + 1))


async def test_an_unverified_caller_gets_nothing_and_is_counted():
    async with tieline.datagrams(ANY, upper, key=KEY) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.setblocking(False)
            for message in (b"hello", b"", os.urandom(57), b"\xe1" + os.urandom(56), b"\xe3" + os.urandom(56)):
                caller.sendto(message, (parse(server.address).host, parse(server.address).port))
            await until(lambda: server.counts.received == 5)
            with pytest.raises(BlockingIOError):
                caller.recv(100)
        assert sum(server.counts.dropped.values()) == 5
        assert server.counts.answered == 0


async def test_a_wrong_key_is_said_when_patience_ends():
    async with (
        tieline.datagrams(ANY, upper, key=KEY) as server,
        tieline.datagrams(to=server.address, key=b"x" * 32, limits=QUICK) as client,
    ):
        with pytest.raises(tieline.DialFailed, match=r"0\.3 s to hold the key"):
            await client.send(b"hello")
        assert server.counts.dropped["unknown key"] >= 1


async def test_nobody_there_is_not_believed_before_patience_ends():
    """Anybody can forge the network's word that nobody listens."""
    async with tieline.datagrams(ANY) as gone:
        address = gone.address
    async with tieline.datagrams(to=address, key=KEY, limits=QUICK) as client:
        with pytest.raises(tieline.DialFailed, match="hold the key"):
            await client.request(b"hello")


async def test_what_goes_over_the_network_is_not_what_was_said(between):
    async with tieline.datagrams(ANY, upper, key=KEY) as server:
        middle = await between(server.address)
        async with tieline.datagrams(to=middle.address, key=KEY) as client:
            assert await client.request(b"a secret word") == b"A SECRET WORD"
    assert not any(b"secret" in data.lower() for data in middle.to_server + middle.to_client)


async def test_replayed_forged_cut_and_reflected_ones_are_dropped(between):
    heard = []
    async with tieline.datagrams(ANY, lambda message, sender: heard.append(message), key=KEY) as server:
        middle = await between(server.address)
        async with tieline.datagrams(to=middle.address, key=KEY) as client:
            await client.send(b"pay 10")
            await until(lambda: heard)
            before = server.counts.received
            datagram = middle.to_server[-1]
            changed = bytes([*datagram[:-1], datagram[-1] ^ 1])
            later = datagram[:9] + (2**40).to_bytes(8) + datagram[17:]
            attacks = [datagram, datagram, changed, later, datagram[:20], *middle.to_client]
            for attack in attacks:
                middle.again(attack)
            await until(lambda: server.counts.received == before + len(attacks))
            middle.transport.sendto(datagram, middle.client)
            await until(lambda: client.counts.dropped)
            await client.send(b"pay 20")
            await until(lambda: len(heard) == 2)
    assert heard == [b"pay 10", b"pay 20"]


async def test_a_restarted_server_is_found_again_and_hears_no_recording(between):
    heard = []
    async with tieline.datagrams(ANY, upper, key=KEY) as server:
        address = server.address
        middle = await between(address)
        async with tieline.datagrams(to=middle.address, key=KEY, limits=QUICK) as client:
            assert await client.request(b"one") == b"ONE"
            recorded = middle.to_server[:]
            await server.close()
            async with tieline.datagrams(address, lambda m, s: heard.append(m) or m, key=KEY) as again:
                for datagram in recorded:
                    middle.again(datagram)
                await until(lambda: again.counts.received >= len(recorded))
                assert heard == []
                assert await client.request(b"two", timeout=10, tries=20) == b"two"
    assert set(heard) == {b"two"}


async def test_a_restarted_client_begins_a_session_of_its_own():
    async with tieline.datagrams(ANY, upper, key=KEY) as server:
        async with tieline.datagrams(to=server.address, key=KEY) as client:
            await client.request(b"one")
            own = client.address
        async with tieline.datagrams(own, to=server.address, key=KEY) as client:
            assert client.address == own
            assert await client.request(b"two") == b"TWO"
        assert server.counts.dropped == {}


async def test_two_clients_with_one_key():
    async with (
        tieline.datagrams(ANY, upper, key=KEY) as server,
        tieline.datagrams(to=server.address, key=KEY) as one,
        tieline.datagrams(to=server.address, key=KEY) as other,
    ):
        for n in range(20):
            answers = await asyncio.gather(one.request(b"one %d" % n), other.request(b"other %d" % n))
            assert answers == [b"ONE %d" % n, b"OTHER %d" % n]
        assert server.counts.dropped == {}


async def test_a_server_that_is_read_sends_to_whom_it_knows():
    async with (
        tieline.datagrams(ANY, key=KEY) as server,
        tieline.datagrams(to=server.address, key=KEY) as client,
    ):
        await client.send(b"hello")
        _, sender = await server.receive()
        await server.send(b"welcome", sender)
        assert (await client.receive())[0] == b"welcome"
        with pytest.raises(tieline.LinkClosed, match="no verified session"):
            await server.send(b"hello", ("127.0.0.1", 9))


async def test_a_handed_out_key_names_its_owner_and_ends_when_revoked():
    keys = tieline.Keyring()
    whose = []
    async with tieline.datagrams(ANY, lambda m, sender: whose.append(server.owner(sender)) or m, key=keys) as server:
        key = keys.issue("ada", server.address)
        async with tieline.datagrams(to=key.address, key=key, limits=QUICK) as client:
            assert await client.request(b"hello") == b"hello"
            assert whose == ["ada"]
            keys.revoke(key.id)
            with pytest.raises(tieline.DeadlineExceeded):
                await client.request(b"hello?", timeout=0.2)
        assert whose == ["ada"]
    assert keys.on_revoke == [], "the endpoint is closed and listens no more"


async def test_an_idle_client_stays_known():
    async with (
        tieline.datagrams(ANY, key=KEY) as server,
        tieline.datagrams(to=server.address, key=KEY, limits=Limits(ping=0.02)) as client,
    ):
        await client.send(b"hello")
        _, sender = await server.receive()
        await until(lambda: server.counts.received > 6)
        await server.send(b"news", sender)
        assert (await client.receive())[0] == b"news"
        assert server.counts.dropped == client.counts.dropped == {}


async def test_closing_a_client_that_waits_to_be_verified_says_so():
    async with tieline.datagrams(ANY) as deaf, tieline.datagrams(to=deaf.address, key=KEY) as client:
        sending = asyncio.ensure_future(client.send(b"hello"))
        await deaf.receive()
        await client.close()
        with pytest.raises(tieline.LinkClosed):
            await sending

"""`tieline.datagrams` without a key, over real sockets: answers, receiving, requests, what is dropped."""

import asyncio
import logging
import socket

import pytest

import tieline
from tieline.limits import Limits
from tieline.transports.address import parse

from .conftest import until

ANY = "udp://127.0.0.1:0"


def upper(message, sender):
    return message.upper()


@pytest.fixture
def caller():
    """A bare socket, as a learner has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


@pytest.fixture(autouse=True)
async def left(nothing_is_left):
    pass


def place(endpoint):
    address = parse(endpoint.address)
    return address.host, address.port


async def hear(sock):
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65536), 5)


# -- answering ---------------------------------------------------------------------------------------------------------


async def test_each_datagram_is_answered_to_its_sender(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        caller.sendto(b"hello", place(endpoint))
        assert await hear(caller) == b"HELLO"
        assert endpoint.counts.received == endpoint.counts.answered == 1


async def test_an_empty_datagram_is_a_message_and_so_is_an_empty_answer(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        caller.sendto(b"", place(endpoint))
        assert await hear(caller) == b""


async def test_two_messages_are_two_however_fast_they_come(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        for message in (b"one", b"two", b"", b"three"):
            caller.sendto(message, place(endpoint))
        assert [await hear(caller) for _ in range(4)] == [b"ONE", b"TWO", b"", b"THREE"]


async def test_a_hundred_callers_are_answered_each_his_own():
    async with tieline.datagrams(ANY, upper) as endpoint:
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]
        for number, sock in enumerate(socks):
            sock.setblocking(False)
            sock.sendto(b"caller %d" % number, place(endpoint))
        for number, sock in enumerate(socks):
            assert await hear(sock) == b"CALLER %d" % number
            sock.close()


async def test_none_is_no_answer(caller):
    async with tieline.datagrams(ANY, lambda message, sender: message or None) as endpoint:
        caller.sendto(b"", place(endpoint))
        caller.sendto(b"x", place(endpoint))
        assert await hear(caller) == b"x"
        assert endpoint.counts.received == 2
        assert endpoint.counts.answered == 1


async def test_an_answer_may_take_its_time(caller):
    release = asyncio.Event()

    async def slow(message, sender):
        if message == b"slow":
            await release.wait()
        return message

    async with tieline.datagrams(ANY, slow) as endpoint:
        caller.sendto(b"slow", place(endpoint))
        caller.sendto(b"fast", place(endpoint))
        assert await hear(caller) == b"fast"
        release.set()
        assert await hear(caller) == b"slow"


async def test_too_many_slow_answers_at_once_are_dropped_and_counted(caller):
    release = asyncio.Event()

    async def slow(message, sender):
        await release.wait()
        return message

    async with tieline.datagrams(ANY, slow, limits=Limits(datagram_answers=2)) as endpoint:
        for n in range(5):
            caller.sendto(b"%d" % n, place(endpoint))
        await until(lambda: endpoint.counts.received == 5)
        assert endpoint.counts.dropped == {"overloaded": 3}
        release.set()
        assert {await hear(caller), await hear(caller)} == {b"0", b"1"}


async def test_slow_answers_end_with_the_endpoint(caller):
    ended = []

    async def slow(message, sender):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(message)

    async with tieline.datagrams(ANY, slow) as endpoint:
        caller.sendto(b"x", place(endpoint))
        await until(lambda: endpoint.counts.received == 1)
        await asyncio.sleep(0)
    assert ended == [b"x"]


async def test_a_mistake_in_an_answer_is_logged_and_ends_nothing(caller, caplog):
    async def later(message, sender):
        raise ZeroDivisionError("later")

    def answer(message, sender):
        match message:
            case b"now":
                raise OSError("now")
            case b"later":
                return later(message, sender)
            case b"wrong":
                return "text"
        return bytearray(message)

    async with tieline.datagrams(ANY, answer) as endpoint:
        for message in (b"now", b"later", b"wrong"):
            caller.sendto(message, place(endpoint))
        await until(lambda: endpoint.counts.dropped["answer failed"] == 3)
        caller.sendto(b"well", place(endpoint))
        assert await hear(caller) == b"well"
    text = caplog.text
    assert "OSError: now" in text
    assert "ZeroDivisionError: later" in text
    assert "'text'; it must be bytes or None" in text


async def test_an_open_endpoint_never_answers_with_more_than_it_was_asked_with(caller, caplog):
    """Or who forges his address could have it flood a victim."""

    async def later(message, sender):
        return b"much more"

    def answer(message, sender):
        return later(message, sender) if message == b"late" else message + b"!" if message else b""

    async with tieline.datagrams(ANY, answer) as endpoint:
        with caplog.at_level(logging.WARNING):
            for message in (b"x", b"late", b"y", b""):
                caller.sendto(message, place(endpoint))
            assert await hear(caller) == b""
            await until(lambda: endpoint.counts.dropped["larger than asked"] == 3)
        assert endpoint.counts.answered == 1
        assert caplog.text.count("may not be larger") == 1


async def test_a_caller_who_is_gone_is_no_trouble(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        for _ in range(5):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                gone.sendto(b"hello", place(endpoint))
        await until(lambda: endpoint.counts.received == 5)
        caller.sendto(b"still here", place(endpoint))
        assert await hear(caller) == b"STILL HERE"


# -- receiving ---------------------------------------------------------------------------------------------------------


async def test_without_an_answer_what_comes_is_received(caller):
    async with tieline.datagrams(ANY) as endpoint:
        for message in (b"one", b"", b"two"):
            caller.sendto(message, place(endpoint))
        got = []
        async for message, sender in endpoint:
            assert sender == caller.getsockname()
            got.append(message)
            if message == b"two":
                break
        assert got == [b"one", b"", b"two"]
        await endpoint.send(b"and back", sender)
        assert await hear(caller) == b"and back"


async def test_closing_ends_the_loop_of_who_reads():
    async with tieline.datagrams(ANY) as endpoint:

        async def read():
            return [message async for message in endpoint]

        reading = [asyncio.ensure_future(read()) for _ in range(2)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*reading) == [[], []]
    with pytest.raises(tieline.LinkClosed):
        await endpoint.receive()
    with pytest.raises(tieline.LinkClosed):
        await endpoint.send(b"x", ("127.0.0.1", 9))


async def test_what_nobody_reads_is_bounded_and_counted(caller):
    async with tieline.datagrams(ANY, limits=Limits(datagram_queue=1000)) as endpoint:
        for _ in range(10):
            caller.sendto(b"x" * 44, place(endpoint))
        await until(lambda: endpoint.counts.received == 10)
        assert endpoint.counts.dropped == {"unread": 7}
        for _ in range(3):
            await endpoint.receive()
        caller.sendto(b"again", place(endpoint))
        assert (await endpoint.receive())[0] == b"again"


async def test_reading_beside_an_answer_is_refused_by_name():
    async with tieline.datagrams(ANY, upper) as endpoint:
        with pytest.raises(tieline.ConfigError, match="answer"):
            await endpoint.receive()


async def test_one_over_the_limit_is_dropped_and_counted(caller):
    async with tieline.datagrams(ANY, upper, limits=Limits(datagram=100)) as endpoint:
        caller.sendto(b"x" * 101, place(endpoint))
        caller.sendto(b"x" * 60_000, place(endpoint))
        caller.sendto(b"x" * 100, place(endpoint))
        assert await hear(caller) == b"X" * 100
        assert endpoint.counts.dropped == {"too long": 2}


async def test_the_largest_there_is_goes_through(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        caller.sendto(b"x" * 65_507, place(endpoint))
        assert await hear(caller) == b"X" * 65_507


# -- asking ------------------------------------------------------------------------------------------------------------


async def test_a_client_asks_and_is_answered():
    async with tieline.datagrams(ANY, upper) as server, tieline.datagrams(to=server.address) as client:
        assert await client.request(b"hello") == b"HELLO"
        assert await client.request(b"") == b""
        assert client.counts.sent == 2


async def test_questions_asked_at_once_are_asked_in_turn():
    async with tieline.datagrams(ANY, upper) as server, tieline.datagrams(to=server.address) as client:
        answers = await asyncio.gather(*(client.request(b"q%d" % n) for n in range(10)))
    assert answers == [b"Q%d" % n for n in range(10)]


async def test_an_endpoint_asks_several_at_once_and_receives_meanwhile(caller):
    async with (
        tieline.datagrams(ANY, upper) as one,
        tieline.datagrams(ANY, lambda message, sender: message[::-1]) as other,
        tieline.datagrams(ANY) as endpoint,
    ):
        caller.sendto(b"news", place(endpoint))
        answers = await asyncio.gather(endpoint.request(b"abc", one.address), endpoint.request(b"abc", place(other)))
        assert answers == [b"ABC", b"cba"]
        assert (await endpoint.receive())[0] == b"news"


async def test_no_answer_is_an_end_at_the_deadline(caller):
    where = f"udp://127.0.0.1:{caller.getsockname()[1]}"
    async with tieline.datagrams(to=where) as client:
        with pytest.raises(tieline.DeadlineExceeded, match=r"no answer from 127\.0\.0\.1"):
            await client.request(b"hello", timeout=0.05)
        assert client.asked == {}


async def test_a_lost_question_is_asked_again():
    seen = []

    def answer(message, sender):
        seen.append(message)
        return message if len(seen) == 3 else None

    async with tieline.datagrams(ANY, answer) as server, tieline.datagrams(to=server.address) as client:
        assert await client.request(b"well?", timeout=3, tries=60) == b"well?"
    assert len(seen) == 3


async def test_nobody_there_is_said_at_once(caller):
    address = f"udp://127.0.0.1:{caller.getsockname()[1]}"
    caller.close()
    async with tieline.datagrams(to=address) as client:
        with pytest.raises(tieline.DialFailed, match="nobody listens"):
            await client.request(b"hello", timeout=5)
        await client.send(b"and it can be tried again")
        await client.send(b"and again")


async def test_a_question_that_is_cancelled_leaves_nothing():
    async with tieline.datagrams(ANY) as server, tieline.datagrams(to=server.address) as client:
        asking = asyncio.ensure_future(client.request(b"hello"))
        await server.receive()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert client.asked == {}


async def test_closing_ends_a_question():
    async with tieline.datagrams(ANY) as server, tieline.datagrams(to=server.address) as client:
        asking = asyncio.ensure_future(client.request(b"hello"))
        await server.receive()
        await client.close()
        with pytest.raises(tieline.LinkClosed):
            await asking


# -- options and mistakes ----------------------------------------------------------------------------------------------


async def test_a_server_starts_again_on_its_port_at_once(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        address = endpoint.address
    async with tieline.datagrams(address, upper) as endpoint:
        assert endpoint.address == address
        caller.sendto(b"hello", place(endpoint))
        assert await hear(caller) == b"HELLO"


async def test_every_address_and_both_versions(caller):
    async with tieline.datagrams("udp://:0", upper) as endpoint:
        port = parse(endpoint.address).port
        caller.sendto(b"four", ("127.0.0.1", port))
        assert await hear(caller) == b"FOUR"
        for host in ("127.0.0.1", "localhost") + (("[::1]",) if socket.has_ipv6 else ()):
            try:
                async with tieline.datagrams(to=f"udp://{host}:{port}") as client:
                    assert await client.request(b"hello") == b"HELLO"
            except tieline.DialFailed:
                assert host == "[::1]", "only IPv6 may be missing on a machine"


async def test_a_name_with_two_addresses_is_answered_on_both():
    async with tieline.datagrams("udp://localhost:0", upper) as endpoint:
        for sock in endpoint.sockets:
            with socket.socket(sock.family, socket.SOCK_DGRAM) as caller:
                caller.setblocking(False)
                caller.sendto(b"hello", sock.getsockname())
                assert await hear(caller) == b"HELLO"


async def test_a_group_hears_and_answers_from_places_of_its_own():
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    options = {"multicast": "239.7.7.8", "interface": names[0]}
    async with tieline.datagrams("udp://:0", upper, **options) as member:
        to = f"udp://239.7.7.8:{parse(member.address).port}"
        async with tieline.datagrams(to=to, interface=names[0], ttl=0, loop=True) as endpoint:
            with pytest.raises(tieline.ConfigError, match="group"):
                await endpoint.request(b"hello")
            await endpoint.send(b"hello")
            try:
                async with asyncio.timeout(2):
                    assert (await endpoint.receive())[0] == b"HELLO"
            except TimeoutError:
                pytest.skip("the loopback interface carries no multicast here")


async def test_too_long_to_send_is_refused_by_name(caller):
    async with tieline.datagrams(ANY, limits=Limits(datagram=100)) as endpoint:
        with pytest.raises(tieline.LimitExceeded, match="datagram's size is 101, the limit is 100"):
            await endpoint.send(b"x" * 101, caller.getsockname())
    async with tieline.datagrams(ANY, limits=Limits(datagram=100_000)) as endpoint:
        with pytest.raises(tieline.LimitExceeded, match="limit is 65,507"):
            await endpoint.send(b"x" * 70_000, caller.getsockname())


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({}, tieline.ConfigError, "address"),
        ({"address": "tcp://127.0.0.1:1"}, tieline.AddressError, "udp://127"),
        ({"to": "tcp://127.0.0.1:1"}, tieline.AddressError, "udp://127"),
        ({"address": "udp://127.0.0.1:x"}, tieline.AddressError, "port"),
        ({"address": ANY, "key": 7}, tieline.ConfigError, "key"),
        ({"address": ANY, "key": ""}, tieline.ConfigError, "key"),
        ({"address": ANY, "key": b"k" * 32, "broadcast": True}, tieline.ConfigError, "key"),
        ({"to": "udp://127.0.0.1:1", "key": tieline.Keyring()}, tieline.ConfigError, "keyring"),
        ({"to": "udp://239.1.2.3:1", "key": b"k" * 32}, tieline.ConfigError, "key"),
    ],
)
async def test_a_mistake_is_named(arguments, error, named):
    with pytest.raises(error, match=named):
        async with tieline.datagrams(**arguments):
            pass


async def test_a_place_must_be_given_when_there_is_none():
    async with tieline.datagrams(ANY) as endpoint:
        with pytest.raises(tieline.ConfigError, match="to"):
            await endpoint.send(b"x")
        with pytest.raises(tieline.ConfigError, match="tries"):
            await endpoint.request(b"x", "udp://127.0.0.1:9", tries=0)


async def test_it_introduces_itself(caller):
    async with tieline.datagrams(ANY, upper) as endpoint:
        caller.sendto(b"x", place(endpoint))
        await hear(caller)
        assert repr(endpoint) == f"<Datagrams {endpoint.address} <Counts 1 received, 1 answered, 0 sent>>"
    assert "closed" in repr(endpoint)

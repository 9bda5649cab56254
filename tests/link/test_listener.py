import asyncio
import errno
import logging
import os
import socket
import ssl
import struct
from contextlib import suppress

import pytest

from tieline.errors import AddressError
from tieline.link import listener as listener_module
from tieline.link import opening as opening_module
from tieline.link.listener import listen
from tieline.link.opening import Routes
from tieline.transports.address import Address, parse
from tieline.transports.sockets import listen_tcp
from tieline.transports.tls import HTTP, LANE, NATIVE, client_context
from tieline.transports.unix import listen_unix

from .conftest import until

NATIVE_HELLO = b"\xf7tieline/1\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SILENCE = Routes(*[lambda opening: asyncio.Protocol()] * 3)


class Caller:
    """A client in bytes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def dial(cls, listener, alpn=None, host="127.0.0.1"):
        options = {} if alpn is None else {"ssl": client_context("any", alpn), "server_hostname": "localhost"}
        return cls(*await asyncio.open_connection(host, listener.port, **options))

    def say(self, data):
        self.writer.write(data)

    async def hears(self, data):
        assert await asyncio.wait_for(self.reader.readexactly(len(data)), 5) == data

    async def hears_all(self):
        try:
            return await asyncio.wait_for(self.reader.read(), 5)
        except ConnectionError:
            return b""

    async def leaves(self):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            pass


# -- who is calling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "route"),
    [(NATIVE_HELLO, b"native"), (GET, b"http"), (b"ada\n", b"lines"), (b"\xff\xfb\x01", b"lines")],
)
async def test_plain_callers_on_loopback_reach_their_route_with_every_byte(serve, first, route):
    caller = await Caller.dial(serve())
    caller.say(first)
    await caller.hears(route + b":" + first)
    await caller.leaves()


@pytest.mark.parametrize(
    ("alpn", "first", "route"),
    [
        ([NATIVE], NATIVE_HELLO, b"native"),
        ([HTTP], GET, b"http"),
        (["h2", HTTP], b"", b"http"),
        ([], b"ada\n", b"lines"),
        ([], GET, b"http"),
    ],
)
async def test_tls_callers_reach_the_route_they_name_or_show(serve, alpn, first, route):
    caller = await Caller.dial(serve(), alpn)
    if first:
        caller.say(first)
    await caller.hears(route + b":" + first)
    await caller.leaves()


async def test_bytes_that_come_one_by_one_lose_none(serve):
    for alpn, route in ((None, b"http"), ([], b"http")):
        caller = await Caller.dial(serve(), alpn)
        caller.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            caller.say(bytes([byte]))
            await asyncio.sleep(0)
        await caller.hears(route + b":" + GET)
        await caller.leaves()


async def test_a_large_first_message_arrives_whole_behind_a_handshake(serve):
    caller = await Caller.dial(serve(), [])
    large = b"ada " * 100_000
    caller.say(large)
    await caller.hears(b"lines:" + large)
    await caller.leaves()


@pytest.mark.parametrize("alpn", [None, []])
async def test_a_silent_caller_is_a_person_to_greet(serve, alpn):
    caller = await Caller.dial(serve(greeting=0.02), alpn)
    await caller.hears(b"lines:")
    caller.say(GET)  # too late to be HTTP, and still answered by lines only; they refuse it
    await caller.hears(GET)
    await caller.leaves()


async def test_a_native_caller_over_tls_must_name_the_protocol(serve):
    listener = serve()
    caller = await Caller.dial(listener, [])
    caller.say(NATIVE_HELLO)
    assert b"ALPN" in await caller.hears_all()
    assert listener.seen == []
    await caller.leaves()


@pytest.mark.parametrize("alpn", [None, []])
async def test_an_ssh_client_is_told_that_this_is_no_ssh(serve, alpn):
    listener = serve()
    caller = await Caller.dial(listener, alpn)
    caller.say(b"SSH-2.0-OpenSSH_9.9\r\n")
    assert b"does not speak SSH" in await caller.hears_all()
    assert listener.seen == []
    await caller.leaves()


async def test_a_tls_caller_is_told_when_there_is_no_tls(serve):
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        await Caller.dial(serve(tls=False), [NATIVE])


async def test_unix_callers_are_served_plain_and_the_file_goes_with_the_listener(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listener = serve([listen_unix("tie.sock")])
    assert str(listener.addresses[0]) == "unix:tie.sock"
    caller = Caller(*await asyncio.open_unix_connection("tie.sock"))
    caller.say(NATIVE_HELLO)
    await caller.hears(b"native:" + NATIVE_HELLO)
    ((_, opening),) = listener.seen
    assert (opening.host, opening.loopback, opening.tls) == ("", True, False)
    await caller.leaves()
    await listener.close()
    assert not os.path.exists("tie.sock")


async def test_ipv4_callers_of_a_dual_stack_socket_are_known_by_their_ipv4_address(serve):
    listener = serve(listen_tcp("", 0))
    caller = await Caller.dial(listener)
    caller.say(NATIVE_HELLO)
    await caller.hears(b"native:")
    ((_, opening),) = listener.seen
    assert (opening.host, opening.loopback) == ("127.0.0.1", True)
    await caller.leaves()


# -- plain text from elsewhere -----------------------------------------------------------------------------------


@pytest.fixture
def from_elsewhere(monkeypatch):
    monkeypatch.setattr(listener_module, "is_loopback", lambda host: False)


@pytest.mark.parametrize("first", [NATIVE_HELLO, b"ada\n", b""])
async def test_plain_text_from_another_machine_gets_one_line_saying_so(serve, from_elsewhere, first):
    listener = serve(greeting=0.02)
    caller = await Caller.dial(listener)
    caller.say(first)
    heard = await caller.hears_all()
    assert heard.count(b"\n") == 1
    assert b"connect with TLS" in heard
    assert listener.seen == []
    await caller.leaves()


async def test_plain_http_from_another_machine_is_answered_in_http(serve, from_elsewhere):
    caller = await Caller.dial(serve())
    caller.say(GET)
    heard = await caller.hears_all()
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 ")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"https://" in body
    await caller.leaves()


async def test_the_reason_arrives_even_when_the_caller_said_much_that_nobody_read(serve, from_elsewhere):
    caller = await Caller.dial(serve())
    caller.say(b"POST / HTTP/1.1\r\n\r\n" + b"x" * 200_000)
    assert (await caller.hears_all()).startswith(b"HTTP/1.1 426 ")
    await caller.leaves()


async def test_tls_from_another_machine_is_served(serve, from_elsewhere):
    caller = await Caller.dial(serve(), [NATIVE])
    await caller.hears(b"native:")
    await caller.leaves()


async def test_the_owner_may_allow_plain_text_in_so_many_words(serve, from_elsewhere):
    caller = await Caller.dial(serve(allow_plain=True))
    caller.say(NATIVE_HELLO)
    await caller.hears(b"native:")
    await caller.leaves()


# -- deadlines and limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [NATIVE_HELLO[:1], GET[:3], b"\x16\x03\x01"])
async def test_an_opening_that_is_never_done_is_cut(serve, first):
    listener = serve(routes=SILENCE, opening=0.1)
    caller = await Caller.dial(listener)
    caller.say(first)
    assert await caller.hears_all() == b""
    await until(lambda: (listener.links, listener.openings) == (0, 0))
    await caller.leaves()


def client_hello(*alpn):
    to_server = ssl.MemoryBIO()
    end = client_context("any", alpn).wrap_bio(ssl.MemoryBIO(), to_server, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        end.do_handshake()
    return to_server.read()


@pytest.mark.parametrize(
    "what",
    [client_hello(NATIVE), client_hello(LANE), GET, NATIVE_HELLO, b"ada\n"],
    ids=["tls", "lane", "http", "native", "person"],
)
async def test_a_byte_at_a_time_does_not_move_the_deadline(serve, what):
    """Slowloris, in whatever is said first."""
    lanes = []
    routes = Routes(*[lambda opening: asyncio.Protocol()] * 3, lambda sock, tls: lanes.append(sock))
    listener = serve(routes=routes, opening=0.2, person_login=0.2)
    caller = await Caller.dial(listener)
    started = asyncio.get_running_loop().time()
    for byte in what * 100:
        caller.say(bytes([byte]))
        await asyncio.sleep(0.02)
        if caller.reader.at_eof() or caller.reader.exception():
            break
        assert asyncio.get_running_loop().time() < started + 5
    assert lanes == []
    await until(lambda: (listener.links, listener.openings) == (0, 0))
    await caller.leaves()


async def test_talking_does_not_move_the_deadline(serve):
    listener = serve(routes=SILENCE, opening=0.2)
    caller = await Caller.dial(listener)
    caller.say(NATIVE_HELLO)
    started = asyncio.get_running_loop().time()
    while not caller.reader.at_eof():
        caller.say(b"x")
        await asyncio.sleep(0.02)
        if caller.reader.exception():
            break
        assert asyncio.get_running_loop().time() < started + 3
    await caller.leaves()


async def test_done_takes_the_deadline_off(serve):
    listener = serve(opening=0.1)
    caller = await Caller.dial(listener)
    caller.say(NATIVE_HELLO)  # the echo calls done() when it hears something
    await caller.hears(b"native:" + NATIVE_HELLO)
    assert (listener.links, listener.openings) == (1, 0)
    await asyncio.sleep(0.2)
    caller.say(b"still here")
    await caller.hears(b"still here")
    await caller.leaves()
    await until(lambda: listener.links == 0)


async def test_a_person_has_more_time(serve):
    listener = serve(greeting=0.01, opening=0.05, person_login=30)
    caller = await Caller.dial(listener)
    await caller.hears(b"lines:")
    await asyncio.sleep(0.15)
    caller.say(b"ada\n")
    await caller.hears(b"ada\n")
    await caller.leaves()


async def test_one_opening_too_many_closes_the_oldest(serve):
    listener = serve(openings=3, greeting=5)
    callers = [await Caller.dial(listener) for _ in range(3)]
    await until(lambda: listener.openings == 3)
    newest = await Caller.dial(listener)
    newest.say(NATIVE_HELLO)
    await newest.hears(b"native:")
    assert await callers[0].hears_all() == b""
    callers[1].say(NATIVE_HELLO)
    await callers[1].hears(b"native:")
    for caller in [*callers, newest]:
        await caller.leaves()


async def test_an_opening_is_dropped_in_the_middle_of_its_tls_handshake(serve):
    listener = serve(openings=1, greeting=5)
    half = await Caller.dial(listener)
    half.say(b"\x16\x03\x01\x02\x00")
    await until(lambda: listener.openings == 1)
    await asyncio.sleep(0.05)
    newest = await Caller.dial(listener, [NATIVE])
    await newest.hears(b"native:")
    assert await half.hears_all() == b""
    for caller in (half, newest):
        await caller.leaves()


@pytest.mark.parametrize("limit", ["links", "links_per_address"])
async def test_a_connection_beyond_the_limit_is_refused_and_room_is_made_when_one_leaves(serve, limit):
    listener = serve(**{limit: 1})
    first = await Caller.dial(listener)
    first.say(NATIVE_HELLO)
    await first.hears(b"native:")
    second = await Caller.dial(listener)
    assert await second.hears_all() == b""
    assert listener.refused == 1
    await first.leaves()
    await until(lambda: listener.links == 0)
    third = await Caller.dial(listener)
    third.say(NATIVE_HELLO)
    await third.hears(b"native:")
    for caller in (second, third):
        await caller.leaves()


# -- trouble -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"", b"\x16", NATIVE_HELLO, GET])
async def test_a_caller_who_resets_leaves_nothing_behind(serve, first):
    listener = serve(greeting=5)
    for _ in range(5):
        caller = socket.create_connection(("127.0.0.1", listener.port))
        caller.sendall(first)
        await asyncio.sleep(0)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.close()
    await until(lambda: (listener.links, listener.openings) == (0, 0))


@pytest.mark.parametrize("alpn", [None, [NATIVE]])
async def test_a_route_that_fails_closes_its_caller_and_is_logged(serve, alpn, caplog):
    def fail(opening):
        raise RuntimeError("no such door")

    listener = serve(routes=Routes(native=fail, http=fail, lines=fail))
    caller = await Caller.dial(listener, alpn)
    caller.say(NATIVE_HELLO)
    assert await caller.hears_all() == b""
    assert "native callers cannot be served" in caplog.text
    await caller.leaves()
    await until(lambda: listener.links == 0)


async def test_running_out_of_descriptors_is_survived_without_spinning(serve, monkeypatch, caplog):
    listener = serve()
    attempts = []
    real = socket.socket.accept

    def exhausted(self):
        attempts.append(self)
        if len(attempts) % 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(self)  # with the spare descriptor

    monkeypatch.setattr(listener_module, "PAUSE", 0.1)
    monkeypatch.setattr(socket.socket, "accept", exhausted)
    turned_away = await Caller.dial(listener)
    assert await turned_away.hears_all() == b""
    waiting = await Caller.dial(listener)
    await asyncio.sleep(0.03)
    assert len(attempts) == 2
    monkeypatch.undo()
    waiting.say(NATIVE_HELLO)
    await waiting.hears(b"native:")
    assert caplog.text.count("cannot take in new callers") == 1
    assert listener.refused == 1
    for caller in (turned_away, waiting):
        await caller.leaves()


async def test_closing_ends_openings_and_leaves_links_that_are_past_them(serve):
    listener = serve(greeting=5)
    silent, handshaking, served = [await Caller.dial(listener) for _ in range(3)]
    handshaking.say(b"\x16\x03\x01")
    served.say(NATIVE_HELLO)
    await served.hears(b"native:" + NATIVE_HELLO)
    await until(lambda: listener.openings == 2)
    await listener.close()
    assert await silent.hears_all() == b""
    assert await handshaking.hears_all() == b""
    served.say(b"on")
    await served.hears(b"on")
    with pytest.raises(ConnectionRefusedError):
        await Caller.dial(listener)
    for caller in (silent, handshaking, served):
        await caller.leaves()
    await until(lambda: listener.links == 0)


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("alpn", [None, [NATIVE]])
async def test_a_drop_in_any_turn_of_the_handing_over_leaks_nothing(serve, turns, alpn):
    def drop_later(opening, turns):
        if turns:
            asyncio.get_running_loop().call_soon(drop_later, opening, turns - 1)
        else:
            opening.drop()

    def native(opening):
        asyncio.get_running_loop().call_soon(drop_later, opening, turns)
        return asyncio.Protocol()

    listener = serve(routes=Routes(native=native, http=native, lines=native))
    caller = await Caller.dial(listener, alpn)
    caller.say(NATIVE_HELLO)
    assert await caller.hears_all() == b""
    await until(lambda: listener.links == 0)
    await caller.leaves()


async def test_closing_twice_is_closing_once(serve):
    listener = serve()
    await listener.close()
    await listener.close()


# -- addresses ---------------------------------------------------------------------------------------------------


async def test_what_is_listened_on_is_told_as_it_came_out():
    for text in ("127.0.0.1:0", ":0", "tls://localhost:0"):
        sockets = await listen(parse(text))
        assert all(sock.getsockname()[1] for sock in sockets)
        for sock in sockets:
            sock.close()
    assert opening_module.log is logging.getLogger("tieline.listener")


@pytest.mark.parametrize("scheme", ["udp", "ws", "tieline"])
async def test_only_stream_addresses_are_listened_on(scheme):
    with pytest.raises(AddressError, match="listen on host:port"):
        await listen(Address(scheme=scheme, host="lab"))


async def test_a_caller_dropped_in_the_moment_it_is_handed_over_hears_of_its_end(serve):
    ended = asyncio.get_running_loop().create_future()

    class Dropped(asyncio.Protocol):
        def __init__(self, opening):
            self.opening = opening

        def connection_made(self, transport):
            self.opening.drop()

        def connection_lost(self, exc):
            ended.set_result(exc)

    caller = await Caller.dial(serve(routes=Routes(*[Dropped] * 3)))
    caller.say(NATIVE_HELLO)
    assert await asyncio.wait_for(ended, 5) is None
    assert await caller.hears_all() == b""
    await caller.leaves()

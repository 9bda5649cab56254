"""Whatever bytes arrive at the port, in whatever pieces, and however the caller leaves: the listener serves the next
one and keeps nothing of the last. TIELINE_LONG=1 makes the random part long.
"""

import asyncio
import os
import random
import resource
import socket
import ssl
import struct
from collections import Counter
from contextlib import suppress

import pytest
import uvloop

from tieline.doors.http import HttpDoor
from tieline.limits import Limits
from tieline.link.dial import dial_stream
from tieline.link.listener import Listener
from tieline.link.opening import Routes
from tieline.transports.address import Address
from tieline.transports.certificate import ServerCertificate, make_certificate
from tieline.transports.sockets import listen_tcp
from tieline.transports.stream import Stream
from tieline.transports.tls import client_context

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
RANDOM_OPENINGS = 100_000 if os.environ.get("TIELINE_LONG") else 2_000
SILENT = 2_000


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine on each kind of loop."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


@pytest.fixture(scope="module")
def certificate():
    return ServerCertificate(*make_certificate([]))


class Echo:
    """Serves as native and lines door: logged in is who says `hello`, and everything is repeated."""

    def __init__(self, opening):
        self.opening = opening

    def opened(self, stream):
        self.stream = stream

    def received(self, data):
        if b"hello" in bytes(data):
            self.opening.done()
        self.stream.write(bytes(data))

    def finished(self):
        self.stream.close()

    def ended(self, error):
        pass

    def writable(self, yes):
        pass


class Ear(Echo):
    """The proper caller: knows when it was answered, and when all is over."""

    def __init__(self):
        self.answered, self.over = asyncio.Event(), asyncio.Event()

    def received(self, data):
        self.answered.set()

    def ended(self, error):
        self.over.set()


class Besieged:
    """A listener with real doors; leaving the block checks that nothing of anybody is left."""

    def __init__(self, certificate, **limits):
        self.certificate = certificate
        self.limits = Limits(**{"opening": 1.0, "person_login": 1.0, "greeting": 0.05, **limits})
        self.complaints = []
        self.served = Counter()

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self.complaints.append(context))
        self.door = HttpDoor()
        await self.door.start()

        def serving(route, make):
            def serve(opening):
                self.served[route] += 1
                return make(opening)

            return serve

        def echo(opening):
            return Stream(Echo(opening))

        (listening,) = listen_tcp("127.0.0.1", 0)
        self.where = listening.getsockname()
        self.listener = Listener(
            [listening],
            Routes(
                native=serving("native", echo), http=serving("http", self.door.protocol), lines=serving("lines", echo)
            ),
            tls=self.certificate.context(),
            limits=self.limits,
        )
        self.listener.start()
        await self.proper_call()  # what a loop opens once, at first need, is open now
        await self.plain_call()
        self.tasks, self.descriptors = asyncio.all_tasks(), descriptors()
        return self

    async def __aexit__(self, *error):
        try:
            await until(lambda: self.listener.links == 0)
            await until(lambda: descriptors() <= self.descriptors)
            await until(lambda: asyncio.all_tasks() <= self.tasks)
            await self.proper_call()
        finally:
            await self.listener.close()
            await self.door.close()
        assert self.complaints == []

    async def proper_call(self):
        await self.call(Address(scheme="tls", host=self.where[0], port=self.where[1], pin=self.certificate.pin))

    async def plain_call(self):
        await self.call(Address(scheme="tcp", host=self.where[0], port=self.where[1]))

    async def call(self, address):
        ear = Ear()
        stream = await dial_stream(address, ear)
        stream.write(b"\xf7hello")
        await asyncio.wait_for(ear.answered.wait(), 5)
        stream.close()
        await asyncio.wait_for(ear.over.wait(), 5)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def client_hello():
    to_server = ssl.MemoryBIO()
    end = client_context("any").wrap_bio(ssl.MemoryBIO(), to_server, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        end.do_handshake()
    return to_server.read()


OPENINGS = {
    "tls": client_hello(),
    "native": b"\xf7tieline/1\nand then something that is no frame at all",
    "http": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "http post": b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 12\r\n\r\nadmin\n/shell",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.9\r\n",
    "person": b"ada\nhello\n",
    "telnet": b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27",
    "nothing": b"",
}


# -- ways to send and to leave -----------------------------------------------------------------------------------


async def whole(sock, data):
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def byte_by_byte(sock, data):
    for byte in data:
        await asyncio.get_running_loop().sock_sendall(sock, bytes([byte]))
        await asyncio.sleep(0)


async def half(sock, data):
    await whole(sock, data[: len(data) // 2])


async def only_the_first(sock, data):
    await whole(sock, data[:1])


async def politely(sock):
    sock.close()


async def by_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def by_half(sock):
    """Says that no more comes, then reads what there is to read."""
    sock.shutdown(socket.SHUT_WR)
    await never(sock)


async def never(sock):
    """Stays until the listener has had enough; who was served well (`hello`, HTTP) would stay for long."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(0.8):
            while await asyncio.get_running_loop().sock_recv(sock, 65536):
                pass
    sock.close()


async def opening(where, send, data, leave):
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, where)
        with suppress(ConnectionError):
            await send(sock, data)
        with suppress(OSError):  # the other side may have closed long ago
            await leave(sock)
    finally:
        sock.close()


@pytest.mark.parametrize("leave", [politely, by_reset, by_half, never])
@pytest.mark.parametrize("send", [whole, byte_by_byte, half, only_the_first])
def test_every_kind_of_caller_may_come_and_leave_in_every_way(run, certificate, send, leave):
    async def story():
        async with Besieged(certificate, opening=0.3, person_login=0.3) as besieged, asyncio.TaskGroup() as callers:
            for data in OPENINGS.values():
                callers.create_task(opening(besieged.where, send, data, leave))

    run(story())


@pytest.mark.parametrize("leave", [politely, by_reset, never])
def test_callers_inside_tls_may_come_and_leave_in_every_way(run, certificate, leave):
    def call(where, data):
        """A real handshake, on a blocking socket; then the bare socket leaves as it likes."""
        context = client_context("any", [])
        with suppress(OSError), socket.create_connection(where, timeout=5) as sock:
            tls = context.wrap_socket(sock, server_hostname="localhost")
            tls.sendall(data)
            bare = socket.socket(fileno=tls.detach())
            bare.setblocking(False)
            return bare
        raise AssertionError("the handshake failed")

    async def story():
        async with Besieged(certificate, opening=0.5, person_login=0.5) as besieged:
            bare = [await asyncio.to_thread(call, besieged.where, data) for data in OPENINGS.values()]
            await asyncio.gather(*map(leave, bare))

    run(story())


@pytest.mark.parametrize("inside_tls", [False, True])
def test_a_browser_cannot_be_made_to_speak_to_another_door(run, certificate, inside_tls):
    """A page elsewhere can have a browser post lines here; they must not be somebody's words, however they trickle."""

    async def story():
        async with Besieged(certificate) as besieged:
            for alpn in ([], ["http/1.1"]) if inside_tls else (None,):
                options = {} if alpn is None else {"ssl": client_context("any", alpn), "server_hostname": "x"}
                reader, writer = await asyncio.open_connection(*besieged.where, **options)
                for byte in OPENINGS["http post"] + b"\r\n/msg room hello\n" * 10:
                    if not writer.is_closing():
                        writer.write(bytes([byte]))
                        await asyncio.sleep(0)
                with suppress(ConnectionError):
                    assert (await reader.read()).startswith(b"HTTP/1.1 4")
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
            assert besieged.served["lines"] == 0
            assert besieged.served["http"] > 0

    run(story())


@pytest.mark.parametrize("opening", sorted(OPENINGS))
def test_who_names_a_protocol_and_speaks_another_is_served_by_nobody_else(run, certificate, opening):
    """ALPACA: what one protocol says must never be taken by another, whatever the caller named in its hello."""
    meant = {"tieline/1": "native", "http/1.1": "http"}

    async def story():
        async with Besieged(certificate, opening=0.3, person_login=0.3) as besieged:
            for alpn, route in meant.items():
                before = Counter(besieged.served)
                options = {"ssl": client_context("any", [alpn]), "server_hostname": "x"}
                reader, writer = await asyncio.open_connection(*besieged.where, **options)
                writer.write(OPENINGS[opening] + b"\n/msg room hello\nhello\n")
                with suppress(ConnectionError, TimeoutError):
                    await asyncio.wait_for(reader.read(), 0.5)
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
                assert {each: count - before[each] for each, count in besieged.served.items()} == {
                    **dict.fromkeys(besieged.served, 0),
                    route: 1,
                }

    run(story())


def hostile(rng):
    """Random bytes, or a proper opening with something wrong in it."""
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(600))
    data = bytearray(rng.choice(list(OPENINGS.values())))
    for _ in range(rng.randrange(4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    end = rng.randrange(len(data) + 1) if rng.random() < 0.3 else len(data)
    return bytes(data[:end]) + rng.randbytes(rng.choice([0, 0, 1, 100, 70_000]))


def test_random_openings_leave_nothing_behind(run, certificate, caplog):
    rng = random.Random(7788)

    async def storm(where, count):
        async with asyncio.TaskGroup() as callers:
            for _ in range(count):
                leave = rng.choices([politely, by_reset, by_half, never], [6, 4, 2, 1])[0]
                callers.create_task(opening(where, whole, hostile(rng), leave))

    async def story():
        async with Besieged(certificate, opening=0.3, person_login=0.3) as besieged:
            for _ in range(RANDOM_OPENINGS // 250):
                await storm(besieged.where, 250)

    run(story())
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.fixture
def allowance():
    """`allowance(n)` lets this process have n descriptors, if the system permits."""
    before = _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow(count):
        if hard != resource.RLIM_INFINITY and hard < count:
            pytest.skip(f"needs {count} file descriptors, {hard} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))

    yield allow
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_proper_caller_gets_through_a_crowd_of_silent_ones(run, certificate, allowance):
    allowance(2 * SILENT + 1000)

    async def story():
        async with Besieged(certificate, opening=30, person_login=30) as besieged:
            crowd = []
            for _ in range(SILENT):
                crowd.append(sock := socket.socket())
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, besieged.where)
            await asyncio.wait_for(besieged.proper_call(), 1.0)
            assert besieged.listener.openings <= besieged.limits.openings
            for sock in crowd:
                sock.close()

    run(story())


def test_a_server_without_descriptors_turns_callers_away_and_recovers(run, certificate, allowance, caplog):
    def use_up():
        held = []
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        return held

    async def story():
        loop = asyncio.get_running_loop()
        async with Besieged(certificate) as besieged:
            callers = [socket.socket() for _ in range(5)]
            for caller in callers:
                caller.setblocking(False)
            allowance(max(map(int, os.listdir("/proc/self/fd"))) + 20)
            held = use_up()
            for caller in callers[:4]:
                await loop.sock_connect(caller, besieged.where)
            assert await asyncio.wait_for(loop.sock_recv(callers[0], 1), 5) == b""
            for descriptor in held:
                os.close(descriptor)
            await loop.sock_connect(callers[4], besieged.where)
            await loop.sock_sendall(callers[4], b"\xf7hello")
            assert await asyncio.wait_for(loop.sock_recv(callers[4], 6), 5) == b"\xf7hello"
            for caller in callers:
                caller.close()

    run(story())
    assert caplog.text.count("cannot take in new callers") == 1

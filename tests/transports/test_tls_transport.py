"""TLS of links: nothing a peer said is lost, whatever the pace, and nothing is left of a handshake that fails."""

import asyncio
import socket
import ssl
import time
from contextlib import suppress

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.transports.key_updates import KeyUpdates, ask_for_keys

from tieline.limits import KiB, MiB
from tieline.transports import tls_transport
from tieline.transports.certificate import make_certificate
from tieline.transports.stream import Stream
from tieline.transports.tls import NATIVE, client_context, server_context
from tieline.transports.tls_handshake import accept_tls, dial_tls
from tieline.transports.tls_memory import PIECE
from tieline.transports.tls_transport import TlsTransport

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
DEADLINE = 60.0


@pytest.fixture(params=LOOPS)
def run(request):
    """Runs a coroutine on each kind of loop."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


class Sipper:
    """Takes little at a time, and has a rest after each."""

    def __init__(self, sip):
        self.sip = sip
        self.taken = 0
        self.over = asyncio.get_running_loop().create_future()

    def opened(self, stream):
        self.stream = stream
        stream.limit_reads(self.sip)

    def received(self, data):
        self.taken += len(data)
        self.stream.pause_reading()
        asyncio.get_running_loop().call_later(0.0001, self.stream.resume_reading)

    def finished(self):
        pass

    def ended(self, error):
        self.over.set_result(error)

    def writable(self, yes):
        pass


def send(sock, data):
    """A caller that blocks, and hangs up as soon as it has sent what it has to say."""
    with client_context("0" * 64, [NATIVE]).wrap_socket(sock) as tls:
        tls.sendall(data)


@pytest.mark.parametrize("sip", [1000, 8 * KiB, 20_000, 256 * KiB])
def test_who_takes_little_at_a_time_and_rests_gets_all_that_a_peer_said_before_it_hung_up(run, sip):
    async def flood():
        near, far = socket.socketpair()
        near.setblocking(False)
        sending = asyncio.create_task(asyncio.to_thread(send, far, bytes(MiB)))
        sipper = Sipper(sip)
        context = server_context(*make_certificate([]))
        await accept_tls(Stream(sipper), near, context, DEADLINE)
        async with asyncio.timeout(DEADLINE):
            error = await sipper.over
            await sending
        assert (sipper.taken, error) == (MiB, None)

    run(flood())


class Ended(asyncio.Protocol):
    """Cancels whoever waits for it, in the very moment the handshake is done."""

    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.dialling.cancel()

    def connection_lost(self, error):
        self.lost.set_result(error)


def accept(sock):
    """A server that blocks; what it is told at the end."""
    with server_context(*make_certificate([])).wrap_socket(sock, server_side=True) as tls:
        try:
            return tls.recv(1)
        except OSError:
            return b""


def test_who_is_cancelled_as_the_handshake_is_done_leaves_nothing_behind(run):
    async def cancel():
        near, far = socket.socketpair()
        near.setblocking(False)
        number = near.fileno()
        accepting = asyncio.create_task(asyncio.to_thread(accept, far))
        ended = Ended()
        ended.dialling = asyncio.create_task(
            dial_tls(ended, near, client_context("0" * 64, [NATIVE]), "localhost", DEADLINE)
        )
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait([ended.dialling])
            assert ended.dialling.cancelled()
            # Else whatever has this number next is looked at in its place, or uvloop ends the process.
            assert not asyncio.get_running_loop().remove_reader(number)
            assert await ended.lost is None
            assert near.fileno() == -1
            assert await accepting == b""

    run(cancel())


@pytest.mark.parametrize("times", [1, 2])
def test_who_is_cancelled_at_any_moment_leaves_nothing_behind(run, times):
    async def cancel(turns):
        near, far = socket.socketpair()
        near.setblocking(False)
        number = near.fileno()
        context = server_context(*certificate)
        accepting = asyncio.create_task(accept_tls(Stream(Sipper(None)), near, context, DEADLINE))
        dialling = asyncio.create_task(asyncio.to_thread(hurry, far))
        for _ in range(turns):
            await asyncio.sleep(0.0003)
        for _ in range(times):
            accepting.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE):
            with suppress(asyncio.CancelledError):
                (await accepting).abort()
                await asyncio.sleep(0)
            await dialling
        assert not asyncio.get_running_loop().remove_reader(number)
        assert near.fileno() == -1

    certificate = make_certificate([])
    for turns in range(1, 20):
        run(cancel(turns))


def hurry(sock):
    with suppress(OSError), client_context("0" * 64, [NATIVE]).wrap_socket(sock) as tls:
        tls.recv(1)
    sock.close()


class Taker(asyncio.BufferedProtocol):
    """Takes what comes, and does what it is told at each step."""

    def __init__(self, size=64 * KiB, **steps):
        self.buffer = bytearray(size)
        self.steps = steps
        self.heard = []
        self.got = b""
        self.lost = asyncio.get_running_loop().create_future()

    def step(self, name):
        self.heard.append(name)
        self.steps.get(name, lambda _: None)(self)

    def connection_made(self, transport):
        self.transport = transport
        self.step("made")

    def get_buffer(self, sizehint):
        return memoryview(self.buffer)

    def buffer_updated(self, size):
        self.got += self.buffer[:size]
        self.step("data")

    def eof_received(self):
        self.step("eof")

    def connection_lost(self, error):
        self.heard.append("lost")
        self.lost.set_result(error)


class EitherWay(Taker):
    """The same, of one that takes what comes without its buffer as well: short reads reach it so."""

    def data_received(self, data):
        self.got += data
        self.step("data")


class WithoutBuffer(asyncio.Protocol):
    """The same, of one that has no buffer."""

    def __init__(self, size=0, **steps):
        self.steps = steps
        self.heard = []
        self.got = b""
        self.lost = asyncio.get_running_loop().create_future()

    step, connection_made, data_received = Taker.step, Taker.connection_made, EitherWay.data_received
    eof_received, connection_lost = Taker.eof_received, Taker.connection_lost


@pytest.fixture(params=[Taker, EitherWay, WithoutBuffer])
def takes(request):
    return request.param


class Caller:
    """A client that blocks, and sees its records before they are sent."""

    def __init__(self, sock):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context("0" * 64, [NATIVE]).wrap_bio(self.incoming, self.outgoing)

    def shake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self.incoming.write(self.sock.recv(64 * KiB))
        self.sock.sendall(self.outgoing.read())

    def record(self, data):
        self.tls.write(data)
        return self.outgoing.read()

    def goodbye(self):
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def hear(self):
        said = b""
        with suppress(ssl.SSLZeroReturnError, OSError):
            while True:
                try:
                    data = self.tls.read(64 * KiB)
                    if not data:
                        break
                    said += data
                except ssl.SSLWantReadError:
                    data = self.sock.recv(64 * KiB)
                    if not data:
                        break
                    self.incoming.write(data)
        return said


async def meet(taker, talk):
    """`talk(caller)` runs in a thread. Its task, once the handshake is done."""
    near, far = socket.socketpair()
    near.setblocking(False)
    talking = asyncio.create_task(asyncio.to_thread(talk, Caller(far)))
    try:
        await accept_tls(taker, near, server_context(*make_certificate([])), 2 * DEADLINE)
    except OSError:
        await talking
        raise
    return talking


def fail(_):
    raise ValueError("a fault of the protocol's")


def quiet(caught):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: caught.append(context.get("exception")))


def talk(*words, broken=False):
    def saying(caller):
        with caller.sock:
            caller.shake()
            records = [caller.record(word) for word in words]
            if broken:
                records[-1] = records[-1][:-1] + bytes([records[-1][-1] ^ 1])
            else:
                records.append(caller.goodbye())
            with suppress(OSError):  # it may be over at once
                caller.sock.sendall(b"".join(records))
            return caller.hear()

    return saying


def test_a_protocol_that_fails_as_it_is_made_ends_the_wait_for_it_at_once(run, takes):
    async def failing():
        quiet(caught := [])
        taker = takes(made=fail)
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(ConnectionResetError):
                await meet(taker, talk(b"hello"))
            assert await taker.lost is caught[0]

    run(failing())


def test_a_protocol_that_fails_after_a_rest_is_told_of_its_end(run, takes):
    async def failing():
        def data(taker):
            if len(taker.got) > 5:
                fail(taker)
            taker.transport.pause_reading()
            asyncio.get_running_loop().call_soon(taker.transport.resume_reading)

        quiet(caught := [])
        taker = takes(5, data=data)
        async with asyncio.timeout(DEADLINE):
            talking = await meet(taker, talk(b"hello", b"again"))
            assert await taker.lost is caught[0]
            await talking

    run(failing())


def test_what_came_whole_before_a_broken_record_is_given_and_may_be_answered(run, takes):
    async def broken():
        taker = takes(data=lambda taker: taker.transport.write(b"answer"))
        async with asyncio.timeout(DEADLINE):
            talking = await meet(taker, talk(b"good", b"bad", broken=True))
            error = await taker.lost
            await talking
        assert taker.got == b"good"
        assert isinstance(error, ssl.SSLError)
        assert error.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
        assert taker.heard == ["made", "data", "lost"]

    run(broken())


def test_who_rests_hears_of_the_goodbye_when_it_goes_on(run, takes):
    async def rest():
        resting = asyncio.get_running_loop().create_future()

        def data(taker):
            taker.transport.pause_reading()
            resting.set_result(None)

        taker = takes(data=data)
        async with asyncio.timeout(DEADLINE):
            talking = await meet(taker, talk(b"last words"))
            await resting
            await asyncio.sleep(0)
            assert taker.heard == ["made", "data"]
            taker.transport.resume_reading()
            assert await taker.lost is None
            await talking
        assert taker.heard == ["made", "data", "eof", "lost"]

    run(rest())


def test_what_waits_at_the_end_is_sent_for_as_long_as_the_peer_takes_it(run, takes, monkeypatch):
    def sip(caller):
        with caller.sock:
            caller.shake()
            taken = 0
            while data := caller.sock.recv(256 * KiB):
                taken += len(data)
                time.sleep(0.02)  # a slow line; the pause is what is tested
            return taken

    async def slow():
        monkeypatch.setattr(tls_transport, "SHUTDOWN_TIMEOUT", 0.4)
        taker = takes()
        async with asyncio.timeout(DEADLINE):
            talking = await meet(taker, sip)
            taker.transport.write(bytes(8 * MiB))
            taker.transport.close()
            assert await talking > 8 * MiB
            await taker.lost

    run(slow())


def test_a_large_message_never_is_in_openssls_memory_as_a_whole(run, takes):
    """It would keep that much until the link ends."""

    def swallow(caller):
        caller.shake()
        taken = 0
        while taken < 8 * MiB:
            taken += len(caller.sock.recv(MiB))
        return caller.sock  # still open

    async def large():
        taker, held = takes(), []
        async with asyncio.timeout(DEADLINE):
            talking = await meet(taker, swallow)
            transport = taker.transport
            memory = transport._memory
            encrypt = memory.encrypt
            memory.encrypt = lambda data: (encrypt(data), held.append(memory.outgoing.pending))
            transport.write(bytes(8 * MiB))
            with await talking:
                assert len(held) == 8 * MiB // PIECE
                assert max(held) < 2 * PIECE
                transport.abort()
                await taker.lost

    run(large())


def keep_asking(sock, times):
    """A peer that asks for new keys again and again and never reads the answers."""
    asking = KeyUpdates(sock, NATIVE)
    for _ in range(times):
        try:
            sock.sendall(asking.more(b"x"))
        except OSError:
            return


class Silent(asyncio.Protocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        # What the kernel takes is small, and what waits beyond that is soon much.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        transport.set_write_buffer_limits(high=16 * KiB)

    def connection_lost(self, error):
        self.lost.set_result(error)


def test_who_asks_for_new_keys_and_never_reads_the_answers_is_cut(run):
    async def ask():
        near, far = socket.socketpair()
        near.setblocking(False)
        asking = asyncio.create_task(asyncio.to_thread(keep_asking, far, 20_000))
        silent = Silent()
        await accept_tls(silent, near, server_context(*make_certificate([])), DEADLINE)
        async with asyncio.timeout(DEADLINE):
            assert "asks for new keys" in str(await silent.lost)
            await asking
        far.close()

    run(ask())


class Below(asyncio.Transport):
    """Takes what is written, and can be told to rest."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.reads = True

    def write(self, data):
        self.written.append(bytes(data))

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0

    def close(self):
        pass

    abort = close


def pair(protocol):
    """A TlsTransport that has shaken hands, the protocol of its transport below, and the other end."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context("0" * 64, [NATIVE]).wrap_bio(incoming, outgoing)
    ours, below = TlsTransport(protocol, server_context(*CERTIFICATE)), Below()
    wire = ours.wire()
    ours.opened(below)
    for _ in range(2):
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        wire.data_received(outgoing.read())
        incoming.write(b"".join(below.written))
        below.written.clear()
    assert ours.made.done()
    return ours, wire, below, tls, outgoing


CERTIFICATE = make_certificate([])
sizes = st.sampled_from([1, 2, 100, 1000, 2026, 2027, 2048, 5000, 16 * KiB])


@settings(deadline=None, max_examples=60)
@given(
    records=st.lists(sizes, min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=12),
    rests=st.sets(st.integers(1, 12)),
    goodbye=st.booleans(),
    kind=st.sampled_from([EitherWay, WithoutBuffer]),
)
def test_however_records_are_cut_who_takes_short_reads_gets_every_byte_once(records, cuts, rests, goodbye, kind):
    async def feed():
        count = 0

        def rest(taker):
            nonlocal count
            count += 1
            if count in rests:
                taker.transport.pause_reading()

        taker = kind(data=rest)
        ours, wire, below, tls, outgoing = pair(taker)
        said = b"".join(bytes([number]) * size for number, size in enumerate(records))
        start = 0
        for size in records:
            tls.write(said[start : start + size])
            start += size
        if goodbye:
            with suppress(ssl.SSLWantReadError):
                tls.unwrap()
        coming, turn = outgoing.read(), 0
        while coming:
            cut = cuts[turn % len(cuts)]
            wire.data_received(coming[:cut])
            coming, turn = coming[cut:], turn + 1
            if not below.reads:
                heard = len(taker.heard)
                if coming:  # a loop may give what it had read before
                    wire.data_received(coming[:1])
                    coming = coming[1:]
                assert len(taker.heard) == heard
            while not below.reads:
                ours.resume_reading()
                await asyncio.sleep(0)
        assert taker.got == said
        assert taker.heard == ["made", *["data"] * taker.heard.count("data"), *["eof"] * goodbye]

    asyncio.run(feed())


@pytest.mark.parametrize("kind", [Taker, EitherWay, WithoutBuffer])
def test_who_asks_for_new_keys_is_answered(kind):
    async def ask():
        taker = kind()
        _ours, wire, below, tls, outgoing = pair(taker)
        for turn in range(3):
            ask_for_keys(tls)
            tls.write(b"x")
            wire.data_received(outgoing.read())
            assert len(below.written) == turn  # OpenSSL answers as it reads on
        assert taker.got == b"xxx"

    asyncio.run(ask())

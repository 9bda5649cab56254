"""TLS of links: nothing a peer said is lost, whatever the pace, and nothing is left of a handshake that fails."""

import asyncio
import socket
from contextlib import suppress

import pytest
import uvloop

from tieline.limits import KiB, MiB
from tieline.transports.certificate import make_certificate
from tieline.transports.stream import Stream
from tieline.transports.tls import NATIVE, client_context, server_context
from tieline.transports.tls_transport import accept_tls, dial_tls

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
            await ended.lost
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

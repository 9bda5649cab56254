import asyncio
import select
import socket
import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import DialFailed, PinMismatch
from tieline.limits import Limits
from tieline.link import dial
from tieline.link.dial import FIRST_PAUSE, LONGEST_PAUSE, backoff, dial_stream, why
from tieline.transports import certificate as certificates
from tieline.transports.address import Address
from tieline.transports.certificate import ServerCertificate, make_certificate
from tieline.transports.tls import client_context
from tieline.transports.tls_handshake import dial_tls
from tieline.transports.unix import listen_unix

from .conftest import until


class Ear:
    """A receiver that remembers."""

    def __init__(self):
        self.heard = bytearray()
        self.news = []
        self.over = asyncio.Event()

    def opened(self, stream):
        self.news.append("opened")

    def received(self, data):
        self.heard += data

    def finished(self):
        pass

    def ended(self, error):
        self.news.append("ended")
        self.over.set()

    def writable(self, yes):
        pass


async def closed(stream, ear):
    stream.close()
    await asyncio.wait_for(ear.over.wait(), 5)


def at(listener, scheme="tcp", **more):
    return Address(scheme=scheme, host="127.0.0.1", port=listener.port, **more)


@pytest.fixture
async def answering(nothing_is_left):
    """A server that answers every connection with the same bytes, then waits."""
    servers = []

    async def start(answer, context=None):
        async def serve(reader, writer):
            writer.write(answer)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return Address(scheme="tls", host="127.0.0.1", port=server.sockets[0].getsockname()[1], pin="0" * 64)

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


# -- getting through ---------------------------------------------------------------------------------------------


async def test_a_plain_server_on_this_machine_is_reached(serve):
    ear = Ear()
    stream = await dial_stream(at(serve()), ear)
    assert (stream.info.kind, stream.info.loopback) == ("tcp", True)
    stream.write(b"\xf7tieline/1\n")
    await until(lambda: ear.heard == b"native:\xf7tieline/1\n")
    await closed(stream, ear)


@pytest.mark.parametrize("scheme", ["tls", "tieline"])
async def test_the_pinned_server_is_reached_and_both_sides_know_the_binding(serve, certificate, scheme):
    ear = Ear()
    stream = await dial_stream(at(serve(), scheme, pin=certificate.pin), ear)
    assert (stream.info.kind, stream.info.alpn, stream.info.binding) == ("tls", "tieline/1", certificate.end_point)
    await until(lambda: ear.heard == b"native:")
    await closed(stream, ear)


@pytest.mark.parametrize("days", [400, -400 * 20], ids=["made a year ahead", "expired for a year"])
async def test_a_pinned_certificate_is_the_right_one_whatever_the_clocks_say(serve, monkeypatch, days):
    wrong = SimpleNamespace(now=lambda zone: datetime.now(zone) + timedelta(days=days))
    clock = SimpleNamespace(datetime=wrong, UTC=UTC, timedelta=timedelta)
    monkeypatch.setattr(certificates, "datetime", clock)
    made = ServerCertificate(*make_certificate([]))
    monkeypatch.undo()
    ear, listener = Ear(), serve(shown=made)
    stream = await dial_stream(at(listener, "tls", pin=made.pin), ear)
    assert stream.info.binding == made.end_point
    await closed(stream, ear)
    with pytest.raises(PinMismatch):
        await dial_stream(at(listener, "tls", pin="0" * 64), Ear())


async def test_who_speaks_so_late_that_it_was_greeted_dials_again(serve, certificate, monkeypatch):
    listener, ear, late = serve(greeting=0.01), Ear(), []

    async def slow(protocol, sock, *more):
        if not late:
            late.append(await asyncio.get_running_loop().run_in_executor(None, select.select, [sock], [], [], 5))
        return await dial_tls(protocol, sock, *more)

    monkeypatch.setattr(dial, "dial_tls", slow)
    stream = await dial_stream(at(listener, "tls", pin=certificate.pin), ear)
    await until(lambda: ear.heard == b"native:")
    assert late
    await closed(stream, ear)


async def test_a_server_whose_certificate_this_machine_trusts_needs_no_pin(serve, certificate, monkeypatch):
    def trusting(*pin_and_alpn):
        context = client_context(*pin_and_alpn)
        context.load_verify_locations(cadata=certificate.certificate.decode())
        return context

    monkeypatch.setattr(dial, "client_context", trusting)
    ear = Ear()
    stream = await dial_stream(at(serve(), "tls"), ear)
    await closed(stream, ear)


async def test_a_unix_socket_is_reached(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    serve([listen_unix("tie.sock")])
    ear = Ear()
    stream = await dial_stream(Address(scheme="unix", port=0, path="tie.sock"), ear)
    assert stream.info.kind == "unix"
    await closed(stream, ear)


# -- the wrong server --------------------------------------------------------------------------------------------


async def test_another_certificate_than_the_pinned_one_is_refused_before_a_byte_is_sent(serve, certificate):
    listener, ear = serve(), Ear()
    with pytest.raises(PinMismatch) as caught:
        await dial_stream(at(listener, "tieline", pin="0" * 64), ear)
    assert (caught.value.expected, caught.value.got) == ("0" * 64, certificate.pin)
    assert ear.news == []
    await until(lambda: listener.links == 0)


async def test_a_self_signed_server_without_a_pin_is_refused_with_the_way_out(serve):
    with pytest.raises(DialFailed, match="use a ticket, or the address with"):
        await dial_stream(at(serve(), "tls"), Ear())


async def test_a_plain_server_is_told_from_a_tls_one(answering):
    address = await answering(b"220 mail.example ESMTP ready, so nice to meet you\r\n")
    with pytest.raises(DialFailed, match="does not speak TLS"):
        await dial_stream(address, Ear())


async def test_a_server_without_tls_is_told(serve, certificate):
    with pytest.raises(DialFailed, match="does it serve TLS at all"):
        await dial_stream(at(serve(tls=False), "tls", pin=certificate.pin), Ear())


async def test_a_tls_server_of_another_kind_is_told(answering, certificate):
    context = certificate.context()
    context.set_alpn_protocols(["http/1.1"])
    address = await answering(b"", context)
    ear = Ear()
    with pytest.raises(DialFailed, match="but not Tieline's"):
        await dial_stream(Address(scheme="tls", host="127.0.0.1", port=address.port, pin=certificate.pin), ear)
    assert ear.news == []


async def test_a_server_that_knows_only_tls_1_2_is_told(nothing_is_left, certificate):
    context = certificate.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2

    def serve_one(server):  # with a blocking socket, since asyncio closes without telling why
        caller, _ = server.accept()
        with caller, pytest.raises(ssl.SSLError):
            context.wrap_socket(caller, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = asyncio.create_task(asyncio.to_thread(serve_one, server))
        where = Address(scheme="tls", host="127.0.0.1", port=server.getsockname()[1], pin=certificate.pin)
        with pytest.raises(DialFailed, match=r"does not speak TLS 1\.3"):
            await dial_stream(where, Ear())
        await serving


async def test_a_server_that_hangs_up_during_the_handshake_is_told(nothing_is_left):
    async def hang_up(reader, writer):
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(DialFailed, match=r"during the TLS handshake|cut at once"):
        await dial_stream(Address(scheme="tls", host="127.0.0.1", port=port, pin="0" * 64), Ear())
    server.close()
    await server.wait_closed()


# -- nobody there ------------------------------------------------------------------------------------------------


async def test_a_port_where_nobody_listens_is_told(nothing_is_left):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(DialFailed, match="is the server running") as caught:
            await dial_stream(Address(host="127.0.0.1", port=held.getsockname()[1]), Ear())
    assert "127.0.0.1:" in str(caught.value)


async def test_a_missing_unix_socket_is_told(nothing_is_left):
    with pytest.raises(DialFailed, match="no such socket file"):
        await dial_stream(Address(scheme="unix", port=0, path="/nowhere/tie.sock"), Ear())


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_a_server_that_never_answers_is_given_up_in_time(nothing_is_left, scheme, certificate):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = Address(
            scheme=scheme,
            host="127.0.0.1",
            port=silent.getsockname()[1],
            pin=certificate.pin if scheme == "tls" else "",
        )
        with socket.socket() as first, socket.socket() as second:
            for filler in (first, second) if scheme == "tcp" else ():  # a full backlog lets nobody in
                filler.setblocking(False)
                filler.connect_ex(silent.getsockname())
            with pytest.raises(DialFailed, match=r"no answer within 0\.1 s"):
                await dial_stream(address, Ear(), timeout=0.1)


async def test_the_usual_time_is_that_of_an_opening(nothing_is_left, certificate):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        where = Address(scheme="tls", host="127.0.0.1", port=silent.getsockname()[1], pin=certificate.pin)
        with pytest.raises(DialFailed, match=r"within 0\.05 s"):
            await dial_stream(where, Ear(), limits=Limits(opening=0.05))


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
async def test_an_unknown_name_is_told(nothing_is_left, monkeypatch, error):
    async def unknown(*args, **options):
        raise error

    monkeypatch.setattr(dial, "connect_tcp", unknown)
    with pytest.raises(DialFailed, match=r"the name nowhere is not known"):
        await dial_stream(Address(host="nowhere"), Ear())


@pytest.mark.parametrize("scheme", ["udp", "ws", "wss"])
async def test_other_ways_in_are_not_dialled_as_streams(scheme):
    with pytest.raises(DialFailed, match=f"over {scheme}://"):
        await dial_stream(Address(scheme=scheme, host="lab"), Ear())


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
@pytest.mark.parametrize("after", [0, 0.001, 0.003, 0.006, 0.02])
async def test_cancelling_a_dial_at_any_moment_leaves_nothing(serve, certificate, scheme, after):
    listener, ear = serve(greeting=0.01), Ear()
    address = at(listener, scheme, pin=certificate.pin if scheme == "tls" else "")
    task = asyncio.create_task(dial_stream(address, ear))
    await asyncio.sleep(after)
    task.cancel()
    try:
        (await task).abort()
    except asyncio.CancelledError:
        pass
    await until(lambda: listener.links == 0)


def test_clocks_and_names_of_certificates_are_told_apart():
    def said(code):
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_code, error.verify_message = code, "odd"
        return why(error, Address(scheme="tls", host="lab"), lambda: datetime(2001, 2, 3, 4, 5))

    assert "has expired" in said(10)
    assert "is not valid yet" in said(9)
    assert "2001-02-03 04:05" in said(9)
    assert "another name" in said(62)
    assert "nobody this machine trusts" in said(18)
    assert "(odd)" in said(99)


# -- coming back -------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_and_the_first_try_is_at_once(attempt, random):
    pause = backoff(attempt, random)
    assert 0 <= pause <= LONGEST_PAUSE
    assert pause <= FIRST_PAUSE * 2 ** min(attempt, 20)
    if attempt == 0 or random == 0:
        assert pause == 0


def test_pauses_double_until_the_longest():
    assert [backoff(attempt, 1) for attempt in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]

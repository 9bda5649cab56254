"""Listening and dialling: many callers at once, limits, verification, every option by name, and everything closed."""

import asyncio
import hashlib
import hmac
import os
import socket
import ssl
import stat

import pytest
from tests.ports import free_port

import tieline
from tieline.errors import AddressError, ConfigError, DialFailed, LoginFailed, PinMismatch
from tieline.transports.sockets import KeepAlive

LOCAL = "tcp://127.0.0.1:0"


async def echo(link):
    async for message in link:
        await link.send(message)


def connected(listener):
    return socket.create_connection(("127.0.0.1", listener.port), timeout=10)


async def received(sock, size=1000):
    return await asyncio.to_thread(sock.recv, size)


async def answer_of(address, message="x", **options):
    async with tieline.dial(address, codec=tieline.Lines(), **options) as link:
        await link.send(message)
        return await link.receive()


# -- callers ---------------------------------------------------------------------------------------------------------


async def test_a_hundred_callers_at_once(nothing_is_left):
    async with tieline.listen(LOCAL, echo, codec=tieline.Lines()) as listener:
        answers = await asyncio.gather(*(answer_of(listener.address, str(n)) for n in range(100)))
        assert answers == [str(n) for n in range(100)]


async def test_a_talk_that_fails_ends_its_caller_only(nothing_is_left, caplog):
    async def talk(link):
        async for message in link:
            if message == "bad":
                raise ValueError("a mistake in the talk")
            await link.send(message)

    async with (
        tieline.listen(LOCAL, talk, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Lines()) as good,
    ):
        assert await answer_of(listener.address, "bad") is None
        await good.send("still here")
        assert await good.receive() == "still here"
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 1
    assert "a mistake in the talk" in caplog.text


class Summed:
    """A byte, and its checksum: itself once more."""

    def encode(self, message, /):
        return bytes((message, message))

    def decode(self, inbox, /):
        pair = inbox.exactly(2)
        if pair is tieline.MORE:
            return pair
        if pair == b"!!":
            return pair.number
        if pair[0] != pair[1]:
            raise ValueError("wrong checksum")
        return pair[0]


@pytest.mark.parametrize(
    ("sent", "told", "logged"),
    [
        (b"11", "the peer closed the link", False),
        (b"12", "Summed cannot read what came (ValueError: wrong checksum)", False),
        (b"1", "the peer closed the link in the middle of a message: 1 bytes for Summed had come", False),
        (b"!!", "Summed cannot read what came (AttributeError", True),
    ],
)
async def test_a_codec_of_ones_own_tells_bad_bytes_from_its_own_mistakes(caplog, sent, told, logged):
    ends = asyncio.Queue()

    async def talk(link):
        try:
            async for _ in link:
                pass
        except tieline.ProtocolError as error:
            ends.put_nowait(str(error))
            raise
        ends.put_nowait(link.end)

    async with tieline.listen(LOCAL, talk, codec=Summed()) as listener:
        async with tieline.dial(listener.address) as link:
            await link.send(sent)
        async with asyncio.timeout(10):
            assert told in await ends.get()
    assert any(record.exc_info for record in caplog.records) == logged


async def test_leaving_cancels_talks_and_closes_links(nothing_is_left):
    cancelled = asyncio.Event()

    async def talk(link):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            await link.send(b"bye")
            raise

    async with tieline.listen(LOCAL, talk) as listener:
        sock = connected(listener)
        while not listener.links:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    with sock:
        assert cancelled.is_set()
        assert sock.recv(10) == b"bye"
        assert sock.recv(10) == b""


@pytest.mark.parametrize("place", [LOCAL, "tls://127.0.0.1:0", "memory:words"])
async def test_leaving_waits_for_the_last_words_of_talks_that_are_over(nothing_is_left, place):
    words, over = bytes(2_000_000), asyncio.Event()

    async def talk(link):
        await link.send(words)
        over.set()

    async with asyncio.TaskGroup() as group:
        async with tieline.listen(place, talk, codec=tieline.LengthPrefixed(limit=2_000_000)) as listener:
            opened = tieline.dial(listener.address, codec=tieline.LengthPrefixed(limit=2_000_000))
            link = await opened.__aenter__()
            got = group.create_task(link.receive())
            await over.wait()
        assert not listener._open
        assert await got == words
        await opened.__aexit__(None, None, None)


async def test_the_server_may_speak_first_and_close(nothing_is_left):
    async def welcome(link):
        await link.send("welcome")

    async with tieline.listen(LOCAL, welcome, codec=tieline.Lines()) as listener:
        with connected(listener) as sock:
            assert await received(sock) == b"welcome\n"
            assert await received(sock) == b""


async def test_callers_beyond_the_limits_are_refused(nothing_is_left):
    for limits in (tieline.Limits(links=2), tieline.Limits(links_per_address=2)):
        async with tieline.listen(LOCAL, echo, codec=tieline.Lines(), limits=limits) as listener:
            async with (
                tieline.dial(listener.address, codec=tieline.Lines()) as one,
                tieline.dial(listener.address, codec=tieline.Lines()) as two,
            ):
                for link in (one, two):
                    await link.send("in")
                    assert await link.receive() == "in"
                with connected(listener) as third:
                    assert await received(third) == b""
                assert listener.refused == 1
            while listener.links:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            assert await answer_of(listener.address, "room again") == "room again"


# -- addresses -------------------------------------------------------------------------------------------------------


async def test_ipv4_and_ipv6_at_once(nothing_is_left):
    async with tieline.listen("tcp://:0", echo, codec=tieline.Lines()) as listener:
        assert listener.address == f"tcp://:{listener.port}"
        hosts = ["127.0.0.1", "[::1]"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]
        for host in hosts:
            assert await answer_of(f"tcp://{host}:{listener.port}") == "x"


async def test_a_port_is_free_again_at_once(nothing_is_left):
    async with tieline.listen(LOCAL, echo, codec=tieline.Lines()) as listener:
        address = listener.address
        with pytest.raises(AddressError, match="in use"):
            async with tieline.listen(address, echo):
                pass
        assert await answer_of(address) == "x"
    async with tieline.listen(address, echo, codec=tieline.Lines()):
        assert await answer_of(address) == "x"


async def test_a_unix_socket_has_its_mode_its_users_and_no_remains(nothing_is_left, tmp_path):
    who = []

    async def talk(link):
        who.append(link.info.uid)

    path = tmp_path / "s"
    async with tieline.listen(f"unix:{path}", talk, mode=0o660) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with tieline.dial(listener.address) as link:
            assert await link.receive() is None
    assert who == [os.getuid()]
    assert not path.exists()


async def test_memory_addresses_have_one_listener(nothing_is_left):
    with pytest.raises(DialFailed, match="nobody listens"):
        await answer_of("memory:lobby")
    async with tieline.listen("memory:lobby", echo, codec=tieline.Lines()) as listener:
        with pytest.raises(AddressError, match="already"):
            async with tieline.listen("memory:lobby", echo):
                pass
        assert await answer_of(listener.address) == "x"
    with pytest.raises(DialFailed):
        await answer_of("memory:lobby")


# -- TLS -------------------------------------------------------------------------------------------------------------


async def test_without_a_certificate_one_is_made_and_its_pin_is_in_the_address(nothing_is_left):
    async with tieline.listen("tls://127.0.0.1:0", echo, codec=tieline.Lines()) as listener:
        assert await answer_of(listener.address) == "x"
        with pytest.raises(PinMismatch):
            await answer_of(f"tls://127.0.0.1:{listener.port}?pin={'0' * 64}")
        with pytest.raises(DialFailed, match="nobody this machine trusts"):
            await answer_of(f"tls://127.0.0.1:{listener.port}")
        assert await answer_of(listener.address) == "x"


async def test_a_certificate_given_is_trusted_by_its_authority(nothing_is_left, certificate, tmp_path):
    (tmp_path / "server.pem").write_bytes(certificate.certificate + certificate.key)
    (tmp_path / "ca.pem").write_bytes(certificate.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tmp_path / "ca.pem")
    for tls in (tmp_path / "server.pem", str(tmp_path / "server.pem"), certificate, certificate.context()):
        async with tieline.listen("tls://127.0.0.1:0", echo, codec=tieline.Lines(), tls=tls) as listener:
            plain = f"tls://127.0.0.1:{listener.port}"
            assert await answer_of(plain, tls=tmp_path / "ca.pem") == "x"
            assert await answer_of(plain, tls=context) == "x"
            assert await answer_of(f"{plain}?pin={certificate.pin}") == "x"


async def test_a_handshake_that_never_comes_is_cut(nothing_is_left):
    limits = tieline.Limits(opening=0.2)
    async with tieline.listen("tls://127.0.0.1:0", echo, limits=limits) as listener:
        with connected(listener) as sock:
            assert await received(sock) == b""


# -- the challenge ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [LOCAL, "tls://127.0.0.1:0", "memory:challenge"])
@pytest.mark.parametrize("options", [{}, {"digest": "md5"}, {"digest": "sha1", "legacy": True}, {"mutual": True}])
async def test_who_holds_the_key_is_in_and_nobody_else(nothing_is_left, place, options):
    talks = []

    async def talk(link):
        talks.append(link)
        await echo(link)

    right, wrong = tieline.Challenge(b"key", **options), tieline.Challenge(b"other", **options)
    async with tieline.listen(place, talk, codec=tieline.Lines(), challenge=right) as listener:
        assert await answer_of(listener.address, challenge=right) == "x"
        assert len(talks) == 1
        if options.get("mutual"):
            with pytest.raises(LoginFailed):
                await answer_of(listener.address, challenge=wrong)
        else:
            async with tieline.dial(listener.address, codec=tieline.Lines(), challenge=wrong) as link:
                assert await link.receive() is None
        assert len(talks) == 1
        assert not listener.links


async def test_the_bytes_of_a_challenge(nothing_is_left):
    """As the programs that are out there do it: 32 bytes, then the raw HMAC, or the hex of digest(key + nonce)."""
    proofs = {
        tieline.Challenge(b"key"): lambda nonce: hmac.new(b"key", nonce, "sha256").digest(),
        tieline.Challenge(b"key", digest="md5"): lambda nonce: hmac.new(b"key", nonce, "md5").digest(),
        tieline.Challenge(b"key", digest="sha1", legacy=True): lambda nonce: (
            hashlib.sha1(b"key" + nonce).hexdigest().encode()
        ),
    }
    for challenge, prove in proofs.items():
        async with tieline.listen(LOCAL, echo, challenge=challenge) as listener:
            with connected(listener) as sock:
                nonce = await received(sock)
                assert len(nonce) == 32
                for byte in prove(nonce):
                    sock.sendall(bytes([byte]))
                sock.sendall(b"hello")
                assert await received(sock) == b"hello"


async def test_an_answer_that_never_comes_is_cut(nothing_is_left):
    limits = tieline.Limits(opening=0.2)
    async with tieline.listen(LOCAL, echo, challenge=tieline.Challenge(b"key"), limits=limits) as listener:
        with connected(listener) as sock:
            assert len(await received(sock)) == 32
            sock.sendall(b"half an answer")
            assert await received(sock) == b""
        assert not listener.links


async def test_a_server_that_sends_no_challenge_is_said_to(nothing_is_left):
    async with tieline.listen(LOCAL, echo) as listener:
        with pytest.raises(DialFailed, match="no challenge within"):
            await answer_of(listener.address, challenge=tieline.Challenge(b"key"), timeout=0.1)


# -- options ---------------------------------------------------------------------------------------------------------


async def test_options_reach_the_sockets(nothing_is_left):
    seen = {}

    async def talk(link):
        for name, level, option in (
            ("no_delay", socket.IPPROTO_TCP, socket.TCP_NODELAY),
            ("keep_alive", socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            ("receive_buffer", socket.SOL_SOCKET, socket.SO_RCVBUF),
            ("send_buffer", socket.SOL_SOCKET, socket.SO_SNDBUF),
        ):
            seen[name] = link.socket.getsockopt(level, option)

    options = {"no_delay": False, "keep_alive": False, "receive_buffer": 20_000, "send_buffer": 30_000}
    async with tieline.listen(LOCAL, talk, reuse_port=True, backlog=5, **options) as listener:
        async with tieline.listen(listener.address, talk, reuse_port=True):
            pass
        async with tieline.dial(listener.address, **options) as link:
            own = link.socket
            assert not own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert own.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (20_000, 40_000)
            await link.receive()
    assert not seen["no_delay"]
    assert not seen["keep_alive"]
    assert seen["receive_buffer"] in (20_000, 40_000)
    assert seen["send_buffer"] in (30_000, 60_000)
    async with (
        tieline.listen(LOCAL, talk, keep_alive=KeepAlive(idle=7)) as listener,
        tieline.dial(listener.address, keep_alive=KeepAlive(idle=9)) as link,
    ):
        await link.receive()
    assert seen["keep_alive"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("backlog", 0),
        ("backlog", "5"),
        ("mode", 0o7777),
        ("reuse_port", 1),
        ("reuse_address", None),
        ("no_delay", "yes"),
        ("keep_alive", 60),
        ("send_buffer", -1),
        ("receive_buffer", 1.5),
        ("challenge", b"key"),
        ("codec", tieline.Lines),
        ("tls", "nobody.pem"),
    ],
)
async def test_an_option_that_cannot_be_used_is_named(option, value):
    with pytest.raises(ConfigError) as caught:
        async with tieline.listen(LOCAL, echo, **{option: value}):
            pass
    assert caught.value.setting == option


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", 0),
        ("timeout", "1"),
        ("no_delay", 2),
        ("challenge", 1),
        ("tls", "nobody.pem"),
        ("codec", None.__class__),
    ],
)
async def test_an_option_of_dial_that_cannot_be_used_is_named(option, value):
    with pytest.raises(ConfigError) as caught:
        async with tieline.dial("tcp://127.0.0.1:1", **{option: value}):
            pass
    assert caught.value.setting == option


async def test_a_talk_must_be_a_function_and_an_address_a_stream():
    for address in ("udp://127.0.0.1:0", "ws://127.0.0.1:0/x"):
        with pytest.raises(ConfigError, match="none of tcp"):
            async with tieline.listen(address, echo):
                pass
        with pytest.raises(ConfigError, match="none of tcp"):
            async with tieline.dial(address):
                pass
    with pytest.raises(ConfigError, match="talk"):
        async with tieline.listen(LOCAL, "talk"):
            pass
    with pytest.raises(ConfigError, match="tls"):
        async with tieline.listen("tls://127.0.0.1:0", echo, tls=7):
            pass


async def test_nobody_there_is_a_sentence():
    with pytest.raises(DialFailed, match="nobody listens there"):
        await answer_of(f"tcp://127.0.0.1:{free_port()}")

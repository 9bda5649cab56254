"""A link: whole messages however the bytes come, an end that says why, and bounds on what a peer can make us hold."""

import asyncio
import socket
import struct

import pytest

import tieline
from tieline.errors import ConfigError, LimitExceeded, LinkClosed, ProtocolError
from tieline.limits import KiB, MiB

ADDRESSES = ["tcp://127.0.0.1:0", "tls://127.0.0.1:0", "unix:{folder}/s", "memory:test"]
PLAIN = [address for address in ADDRESSES if not address.startswith("tls")]


@pytest.fixture
def place(request, tmp_path):
    return request.param.format(folder=tmp_path)


def over(*addresses):
    return pytest.mark.parametrize("place", addresses, indirect=True, ids=lambda text: text.split(":")[0])


async def echo(link):
    async for message in link:
        await link.send(message)


class Bare:
    """A learner's client: only the socket module; its calls run in a thread."""

    def __init__(self, listener):
        self.sock = socket.create_connection(("127.0.0.1", listener.port), timeout=10)

    async def send(self, data):
        await asyncio.to_thread(self.sock.sendall, data)

    async def receive(self, size=65536):
        return await asyncio.to_thread(self.sock.recv, size)

    async def rest(self):
        data = b""
        while piece := await self.receive():
            data += piece
        return data

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


@over(*ADDRESSES)
async def test_messages_arrive_whole_and_in_order(place, nothing_is_left):
    messages = [f"message {n}" for n in range(1000)]
    async with tieline.listen(place, echo, codec=tieline.Lines()) as listener:
        async with tieline.dial(listener.address, codec=tieline.Lines()) as link:

            async def send():
                for message in messages:
                    await link.send(message)

            sending = asyncio.create_task(send())
            assert [await link.receive() for _ in messages] == messages
            await sending
            assert link.end is None
        assert link.end == "closed by this side"
        assert await link.receive() is None
        with pytest.raises(LinkClosed, match="closed by this side"):
            await link.send("late")


@over(*PLAIN)
async def test_who_finishes_still_gets_the_answers(place, nothing_is_left):
    async with (
        tieline.listen(place, echo, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Lines()) as link,
    ):
        for n in range(100):
            await link.send(str(n))
        link.finish()
        with pytest.raises(LinkClosed, match="finished sending"):
            await link.send("more")
        assert [message async for message in link] == [str(n) for n in range(100)]
        assert link.end == "the peer closed the link"


async def test_a_byte_at_a_time_and_two_in_a_packet(nothing_is_left):
    async with tieline.listen("tcp://127.0.0.1:0", echo, codec=tieline.LengthPrefixed("!H")) as listener:
        with Bare(listener) as bare:
            for byte in b"\0\5hello":
                await bare.send(bytes([byte]))
                await asyncio.sleep(0.001)
            assert await bare.receive() == b"\0\5hello"
            await bare.send(b"\0\2hi\0\0\0\1!")
            assert await bare.receive() == b"\0\2hi\0\0\0\1!"


async def test_what_is_sent_in_one_turn_leaves_in_one_piece(nothing_is_left):
    async def talk(link):
        for n in range(100):
            await link.send(f"{n}")
        await link.receive()

    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as listener:
        with Bare(listener) as bare:
            assert await bare.receive() == "".join(f"{n}\n" for n in range(100)).encode()


async def test_the_codec_may_change_in_mid_stream(nothing_is_left):
    got = []

    async def talk(link):
        got.append(await link.receive())
        got.append(await link.receive_exactly(3))
        link.codec = tieline.Lines()
        got.append(await link.receive())
        link.codec = tieline.JsonValues()
        got.append(await link.receive())
        link.codec = tieline.Raw()
        got.append(await link.receive())
        await link.send(b"done")

    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.LengthPrefixed("B")) as listener:
        with Bare(listener) as bare:
            await bare.send(b'\4\n{"aabc3 lines\n{"a":"\\n"}the rest')
            assert await bare.rest() == b"done"
    assert got == [b'\n{"a', b"abc", "3 lines", {"a": "\n"}, b"the rest"]


async def test_the_last_line_needs_no_newline_and_a_cut_message_is_an_end(nothing_is_left):
    ends = asyncio.Queue()

    async def talk(link):
        ends.put_nowait(([message async for message in link], link.end))

    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as listener:
        with Bare(listener) as bare:
            await bare.send(b"one\ntwo")
        assert await ends.get() == (["one", "two"], "the peer closed the link")
    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.LengthPrefixed("B")) as listener:
        with Bare(listener) as bare:
            await bare.send(b"\1a\5abc")
        messages, end = await ends.get()
        assert messages == [b"a"]
        assert "in the middle of a message: 4 bytes" in end
        assert "LengthPrefixed" in end


async def test_a_reset_is_an_end(nothing_is_left, caplog):
    ends = asyncio.Queue()

    async def talk(link):
        await link.send("hello")
        ends.put_nowait(([message async for message in link], link.end))

    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as listener:
        with Bare(listener) as bare:
            await bare.receive()
            bare.reset()
            messages, end = await ends.get()
    assert messages == []
    assert end.startswith("the peer vanished")
    assert not [record for record in caplog.records if record.exc_info]


async def test_exactly_so_many_bytes_or_an_end_that_says_how_many_came(nothing_is_left):
    said = asyncio.Queue()

    async def talk(link):
        with pytest.raises(LinkClosed) as caught:
            await link.receive_exactly(10)
        said.put_nowait(str(caught.value))
        with pytest.raises(LimitExceeded):
            await link.receive_exactly(2 * MiB)

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener:
        with Bare(listener) as bare:
            await bare.send(b"abc")
        assert await said.get() == "the peer closed the link after 3 of 10 bytes"


@over(*ADDRESSES)
async def test_nonsense_ends_the_link_and_says_so(place, nothing_is_left):
    seen = asyncio.Queue()

    async def talk(link):
        try:
            await link.receive()
        except ProtocolError as error:
            seen.put_nowait((str(error), link.end))
            assert await link.receive() is None
            raise

    async with (
        tieline.listen(place, talk, codec=tieline.JsonLines()) as listener,
        tieline.dial(listener.address) as link,
    ):
        await link.send(b"{nonsense}\n")
        assert await link.receive() is None
        error, end = await seen.get()
        assert "JsonLines" in error
        assert end == error


async def test_a_codec_of_ones_own_that_fails_or_never_has_enough_is_stopped(nothing_is_left):
    class Bad:
        def encode(self, message):
            return message

        def decode(self, inbox):
            return {}["key"] if inbox.peek(1) == b"!" else tieline.MORE

    errors = asyncio.Queue()

    async def talk(link):
        try:
            await link.receive()
        except tieline.TielineError as error:
            errors.put_nowait(error)

    limits = tieline.Limits(frame=1000)
    async with tieline.listen("tcp://127.0.0.1:0", talk, codec=Bad(), limits=limits) as listener:
        with Bare(listener) as bare:
            await bare.send(b"!")
            error = await errors.get()
            assert isinstance(error, ProtocolError)
            assert "KeyError" in str(error)
        with Bare(listener) as bare:
            await bare.send(b"x" * 5000)
            assert isinstance(await errors.get(), LimitExceeded)


@over(*ADDRESSES)
async def test_a_reader_that_stalls_stops_the_sender_and_loses_nothing(place, nothing_is_left):
    sent, go, total = 0, asyncio.Event(), 400
    message = bytes(64 * KiB)

    async def talk(link):
        nonlocal sent
        for _ in range(total):
            await link.send(message)
            sent += 1

    async with (
        tieline.listen(place, talk, codec=tieline.LengthPrefixed(), send_buffer=64 * KiB) as listener,
        tieline.dial(listener.address, codec=tieline.LengthPrefixed(), receive_buffer=64 * KiB) as link,
    ):
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 300
        assert len(link._inbox) < 1 * MiB
        go.set()
        got = 0
        async for piece in link:
            assert len(piece) == len(message)
            got += 1
        assert got == total


async def test_a_message_larger_than_the_inbox_bound_still_comes(nothing_is_left):
    async with (
        tieline.listen("memory:big", echo, codec=tieline.LengthPrefixed(limit=4 * MiB)) as listener,
        tieline.dial(listener.address, codec=tieline.LengthPrefixed(limit=4 * MiB)) as link,
    ):
        await link.send(bytes(3 * MiB))
        assert len(await link.receive()) == 3 * MiB


async def test_cancelling_a_receive_loses_nothing(nothing_is_left):
    async with (
        tieline.listen("memory:cancel", echo, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Lines()) as link,
    ):
        for n in range(50):
            waiting = asyncio.create_task(link.receive())
            await asyncio.sleep(0)
            await link.send(str(n))
            for _ in range(n % 7):
                await asyncio.sleep(0)
            waiting.cancel()
            done = await asyncio.gather(waiting, return_exceptions=True)
            assert (done[0] if isinstance(done[0], str) else await link.receive()) == str(n)


async def test_a_flood_of_small_messages_lets_others_have_their_turn(nothing_is_left):
    turns = []

    async def talk(link):
        async for message in link:
            turns.append(message)

    async with (
        tieline.listen("memory:flood", talk, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Raw()) as flood,
        tieline.dial(listener.address, codec=tieline.Lines()) as quiet,
    ):
        await flood.send(b"x\n" * 20_000)
        await quiet.send("mine")
        for _ in range(1000):
            await asyncio.sleep(0)
        assert turns.index("mine") < 5000


async def test_only_one_task_receives(nothing_is_left):
    async with (
        tieline.listen("memory:two", echo) as listener,
        tieline.dial(listener.address) as link,
    ):
        first = asyncio.create_task(link.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await link.receive()
        await link.send(b"x")
        assert await first == b"x"


async def test_a_json_null_is_a_message(nothing_is_left):
    async with (
        tieline.listen("memory:null", echo, codec=tieline.JsonValues()) as listener,
        tieline.dial(listener.address, codec=tieline.JsonValues()) as link,
    ):
        await link.send(None)
        await link.send(1)
        assert await link.receive("gone") is None
        link.finish()
        assert [message async for message in link] == [1]
        assert await link.receive("gone") == "gone"


async def test_a_silent_link_is_cut(nothing_is_left):
    async with tieline.listen("tcp://127.0.0.1:0", echo, limits=tieline.Limits(idle=0.1)) as listener:
        with Bare(listener) as bare:
            await bare.send(b"x")
            assert await bare.receive() == b"x"
            async with asyncio.timeout(5):
                await asyncio.gather(bare.receive(), return_exceptions=True)


async def test_last_words_survive_a_peer_that_still_sends(nothing_is_left):
    """Unread bytes turn a close into a reset, and a reset throws away what the peer had not fetched yet."""
    words = b"x" * 2 * MiB

    async def talk(link):
        await link.receive()
        await link.send(words)

    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener:
        with Bare(listener) as bare:
            bare.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * KiB)
            await bare.send(b"x" * 500_000)
            got = b""
            while len(got) < len(words):
                piece = await bare.receive()
                assert piece
                got += piece
                if len(got) < MiB:
                    await asyncio.sleep(0)
                    await bare.send(b"more")
            assert got == words


async def test_a_link_introduces_itself(nothing_is_left):
    seen = []

    async def talk(link):
        seen.append((repr(link), link.peer, link.local, link.info.host))

    async with (
        tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Lines()) as link,
    ):
        assert await link.receive() is None
        assert link.peer == listener.address.removeprefix("tcp://")
        assert seen == [(f"<Link open tcp {link.local} Lines 0 in 0 out>", link.local, link.peer, "127.0.0.1")]
        assert link.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert repr(link) == f"<Link closed tcp {link.peer} Lines 0 in 0 out>"
    assert link.socket is None


async def test_a_codec_must_be_one(nothing_is_left):
    for wrong in (tieline.Lines, "lines", 5):
        with pytest.raises(ConfigError, match="codec"):
            async with tieline.dial("memory:nobody", codec=wrong):
                pass

import asyncio

import pytest

from tieline.errors import LinkClosed, ProtocolError
from tieline.limits import KiB, Limits
from tieline.link.frame_link import FrameLink
from tieline.testing import Clock
from tieline.transports import memory
from tieline.transports.stream import Stream
from tieline.wire.frames import HEADER, PREFACE, FrameCutter, Kind, frame
from tieline.wire.messages import GoAway, encode, read
from tieline.wire.moves import Side

LIMITS = Limits(send_buffer=10 * KiB, ping=20.0, drain=10.0)


class Owner:
    """Hears what a link says; answers every call with `answer`."""

    def __init__(self, answer=b"\x01"):
        self.answer, self.link = answer, None
        self.heard, self.ends, self.writables, self.sizes = [], [], [], []

    def events(self, events):
        self.sizes.append(len(events))
        for kind, channel, content in events:
            self.heard.append((kind, channel, content))
            if kind == Kind.CALL:
                self.link.session.send(Kind.RESULT, channel, self.answer)

    def writable(self, yes):
        self.writables.append(yes)

    def ended(self, error):
        self.ends.append(error)


class Far:
    """The other end, which writes what it likes and reads when it likes."""

    def __init__(self):
        self.cutter, self.frames, self.ended_with = FrameCutter(1 << 30), [], []

    def opened(self, stream):
        self.stream = stream

    def received(self, data):
        self.frames += self.cutter.feed(bytes(data))

    def finished(self):
        pass

    def ended(self, error):
        self.ended_with.append(error)

    def writable(self, yes):
        pass

    @property
    def goodbye(self):
        kind, _, payload = self.frames[-1]
        assert kind == Kind.GOAWAY
        return read(GoAway, payload)


def linked(answer=b"\x01", limits=LIMITS):
    """A server's link that is open, its owner, and the far end."""
    owner, far = Owner(answer), Far()
    link = owner.link = FrameLink(Side.SERVER, limits, owner)
    memory.pair(link, far, limits=limits)
    link.session.skip_login()
    far.stream.write(PREFACE)
    return link, owner, far


def calls(count, first=1):
    payload = encode(("m", {}, None))
    return b"".join(frame(Kind.CALL, first + 2 * n, payload) for n in range(count))


@pytest.fixture
def clock():
    return Clock()


@pytest.mark.parametrize(("asked", "writes"), [(1, 1), (16, 1), (17, 2), (50, 4)])
def test_what_one_read_asks_is_answered_in_few_writes(clock, asked, writes):
    """In one when it is little; in several when it is much, so that the other side need not wait for the last."""

    async def story():
        owner = Owner()
        link = owner.link = FrameLink(Side.SERVER, LIMITS, owner)
        stream = Stream(link)
        stream.connection_made(transport := Stuck(stream))
        link.session.skip_login()
        receive(stream, PREFACE + calls(asked))
        assert len(owner.heard) == asked
        assert transport.writes == writes

    clock.run(story())


def test_what_is_sent_in_one_tick_leaves_together(clock):
    async def story():
        link, _owner, far = linked()
        await clock.settle()
        out = link.stream.bytes_out
        for _ in range(3):
            link.session.call(encode(("m", {}, None)))
            link.flush_soon()
        assert link.stream.bytes_out == out
        await clock.settle()
        assert [channel for kind, channel, _ in far.frames if kind == Kind.CALL] == [2, 4, 6]

    clock.run(story())


def test_what_is_asked_for_because_of_one_read_leaves_right_behind_it():
    """Not a turn of the loop later, when all that other links brought is dealt with."""

    class Asking(Owner):
        def events(self, events):
            for _ in events:
                asyncio.get_running_loop().call_soon(self.ask)

        def ask(self):
            self.link.session.call(encode(("m", {}, None)))
            self.link.flush_soon()

    async def story():
        owner, far = Asking(), Far()
        link = owner.link = FrameLink(Side.CLIENT, LIMITS, owner)
        memory.pair(link, far, limits=LIMITS)
        link.session.skip_login()
        owner.ask()
        owner.ask()
        await asyncio.sleep(0.01)
        out = link.stream.bytes_out
        link.received(PREFACE + b"".join(frame(Kind.RESULT, channel, b"\x01") for channel in (1, 3)))
        assert link.stream.bytes_out == out
        await asyncio.sleep(0)  # one turn of the loop
        assert link.stream.bytes_out == out + len(calls(2))

    asyncio.run(story())


def test_a_flood_is_dealt_with_in_batches(clock):
    async def story():
        link, owner, far = linked(limits=Limits(send_buffer=1 << 20))
        far.stream.write(calls(1000))
        await clock.settle()
        assert len(owner.heard) == 1000
        assert max(owner.sizes) <= 16
        assert link.ended_with is None

    clock.run(story())


def test_a_peer_that_asks_and_does_not_read_is_not_read_from_either_and_cut_in_the_end(clock):
    async def story():
        link, owner, far = linked(answer=bytes(1000))
        await clock.settle()
        far.stream.pause_reading()
        asked = 0
        for _ in range(200):
            far.stream.write(calls(100, first=2 * asked + 1))
            asked += 100
            await clock.settle()
        # The socket's mark, what was owed after it, and one batch: nothing like what was asked for.
        assert link.stream.buffered() < 2 * LIMITS.send_buffer + 16 * 1009 + 2000
        assert far.stream.paused
        heard = len(owner.heard)
        await clock.advance(39.0)
        assert link.ended_with is None
        assert len(owner.heard) == heard
        await clock.advance(2.0)
        assert isinstance(link.ended_with, LinkClosed)
        assert "nothing heard" in str(link.ended_with)
        assert owner.ends == [link.ended_with]

    clock.run(story())


def test_it_goes_on_where_it_stopped_when_the_peer_reads_again(clock):
    async def story():
        _link, owner, far = linked(answer=bytes(1000))
        far.stream.pause_reading()
        for n in range(20):
            far.stream.write(calls(100, first=200 * n + 1))
            await clock.settle()
        assert len(owner.heard) < 2000
        far.stream.resume_reading()
        await clock.settle()
        assert [channel for _, channel, _ in owner.heard] == list(range(1, 4001, 2))
        results = [channel for kind, channel, _ in far.frames if kind == Kind.RESULT]
        assert results == list(range(1, 4001, 2))

    clock.run(story())


def test_a_slow_peer_that_takes_what_it_is_sent_is_alive(clock):
    async def story():
        link, _owner, far = linked(answer=bytes(10_000))
        far.stream.pause_reading()
        far.stream.write(calls(60))
        await clock.settle()
        # It reads a piece now and then, too little ever to drain the socket.
        for _ in range(20):
            await clock.advance(15.0)
            far.stream._waiting_bytes -= 1000
        assert link.ended_with is None
        await clock.advance(65.0)
        assert link.ended_with is not None

    clock.run(story())


def test_a_silent_peer_is_pinged_then_cut(clock):
    async def story():
        link, owner, far = linked()
        await clock.advance(20.5)
        assert far.frames[-1][0] == Kind.PING
        far.stream.write(frame(Kind.PONG, 0))
        await clock.advance(19.0)
        assert link.ended_with is None
        await clock.advance(2.0)
        assert [kind for kind, *_ in far.frames].count(Kind.PING) == 2
        await clock.advance(20.0)
        assert owner.ends == [link.ended_with]
        assert far.ended_with == [None]

    clock.run(story())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (frame(99, 0), "unknown frame kind 99"),
        (frame(Kind.RESULT, 1), "never opened"),
        (frame(Kind.CALL, 2, encode(("m", {}, None))), "channel 2 cannot be opened"),
        (HEADER.pack(2**32 - 1, Kind.CALL, 1), "4,294,967,295"),
        (calls(3) + HEADER.pack(2**32 - 1, Kind.CALL, 7), "4,294,967,295"),
        (frame(Kind.CALL, 1, b"\x92\xa1m" + b"\x81\xa1a" * 10_000), "CALL"),
        (frame(Kind.CALL, 1, b"\x92\xa1\xff\x80"), "CALL"),
    ],
)
def test_a_mistake_is_told_to_the_peer_and_ends_the_link(clock, wrong, says):
    async def story():
        link, owner, far = linked()
        far.stream.write(wrong)
        far.stream.write(calls(1, first=101))
        await clock.settle()
        assert far.goodbye.code == "protocol"
        assert says in far.goodbye.reason
        assert isinstance(link.ended_with, ProtocolError)
        assert link.ended_with.remote
        assert says in str(link.ended_with)
        assert owner.ends == [link.ended_with]
        assert far.ended_with == [None]
        assert not [channel for _, channel, _ in owner.heard if channel == 101]

    clock.run(story())


def test_another_preface_is_a_mistake_too(clock):
    async def story():
        owner, far = Owner(), Far()
        link = owner.link = FrameLink(Side.SERVER, LIMITS, owner)
        memory.pair(link, far)
        far.stream.write(b"GET / HTTP/1.1\r\n")
        await clock.settle()
        assert "begins with b" in far.goodbye.reason
        assert isinstance(link.ended_with, ProtocolError)

    clock.run(story())


def test_a_bug_of_its_owner_closes_the_link_and_is_logged(clock, caplog):
    async def story():
        link, owner, far = linked()
        owner.link = None  # so that answering fails
        far.stream.write(calls(100))
        await clock.settle()
        assert far.goodbye == GoAway("the other side failed; its log says why", None, "internal")
        assert isinstance(link.ended_with, LinkClosed)
        assert "AttributeError" in caplog.text
        assert len(owner.heard) == 1

    clock.run(story())


def test_the_peers_own_reason_is_the_reason_of_the_end(clock):
    async def story():
        link, owner, far = linked()
        far.stream.write(frame(Kind.GOAWAY, 0, encode(GoAway("closed for lunch", 60.0, "closing"))))
        far.stream.close()
        await clock.settle()
        assert str(link.ended_with) == "closed for lunch"
        assert owner.heard == [(Kind.GOAWAY, 0, GoAway("closed for lunch", 60.0, "closing"))]

    clock.run(story())


def test_close_says_goodbye_once_sends_what_waits_and_ends_once(clock):
    async def story():
        link, owner, far = linked()
        link.session.call(encode(("m", {}, None)))
        link.close("time to go")
        link.close("again")
        link.abort(LinkClosed("too late"))
        await clock.settle()
        assert [kind for kind, *_ in far.frames] == [Kind.CALL, Kind.GOAWAY]
        assert far.goodbye.reason == "time to go"
        assert [str(end) for end in owner.ends] == ["time to go"]
        assert "closed" in repr(link)

    clock.run(story())


def test_abort_ends_without_a_word(clock):
    async def story():
        link, owner, far = linked()
        await clock.settle()
        link.abort(LinkClosed("enough"))
        await clock.settle()
        assert far.frames == []
        assert [str(end) for end in owner.ends] == ["enough"]

    clock.run(story())


def test_an_ended_link_leaves_no_timer(clock):
    async def story():
        link, _owner, far = linked()
        await clock.settle()
        far.stream.close()
        await clock.settle()
        assert str(link.ended_with) == "the peer closed the link"
        assert link._timer is None
        link.flush_soon()
        link.close("too late")
        await clock.advance(100.0)
        assert str(link.ended_with) == "the peer closed the link"

    clock.run(story())


class Stuck(asyncio.Transport):
    """A transport to a peer that reads nothing: what is written stays, and closing waits for it for ever."""

    def __init__(self, protocol):
        super().__init__()
        self.protocol, self.buffer, self.writes, self.gone = protocol, 0, 0, False

    def get_extra_info(self, name, default=None):
        return default

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def get_write_buffer_size(self):
        return self.buffer

    def write(self, data):
        self.buffer += len(data)
        self.writes += 1
        if self.buffer > self.high:
            self.protocol.pause_writing()

    def is_closing(self):
        return False

    def pause_reading(self):
        pass

    def close(self):
        pass

    def abort(self):
        if not self.gone:
            self.gone = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


def receive(stream, data):
    stream.get_buffer(0)[: len(data)] = data
    stream.buffer_updated(len(data))


@pytest.mark.parametrize(("how", "patience"), [("close", 10.0), ("a mistake", 1.0)])
def test_a_peer_that_does_not_read_cannot_keep_a_closing_link(clock, how, patience):
    async def story():
        owner = Owner()
        link = owner.link = FrameLink(Side.SERVER, LIMITS, owner)
        stream = Stream(link)
        transport = Stuck(stream)
        stream.connection_made(transport)
        if how == "close":
            link.close("time to go")
        else:
            receive(stream, b"GET ")
        receive(stream, PREFACE + calls(3))  # nothing is taken any more
        assert owner.heard == []
        await clock.advance(patience - 0.1)
        assert owner.ends == []
        await clock.advance(0.2)
        assert len(owner.ends) == 1
        assert transport.gone

    clock.run(story())

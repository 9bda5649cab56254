"""With numbers only: two sessions, no loop, no sockets. What the other side hears is read from its session."""

from concurrent.futures import Future

import msgspec
import pytest

from tieline.errors import Conflict, DeadlineExceeded, InvalidArgument, LinkClosed
from tieline.limits import DEFAULT
from tieline.rpc.deadlines import Deadlines
from tieline.rpc.open_calls import OpenCalls
from tieline.wire.frames import Kind
from tieline.wire.messages import Fault, encode
from tieline.wire.moves import Side
from tieline.wire.session import Session

DECODE = msgspec.msgpack.decode
CALL = encode(("m", {}, None))


class Reader:
    """Who takes a stream, and keeps what was told."""

    def __init__(self):
        self.told = []

    def push(self, payload, raw):
        self.told.append((payload, raw))

    def finish(self, error=None):
        self.told.append(error)


class Ours:
    """The calls of one side, and what its peer hears of them."""

    def __init__(self):
        self.session, self._peer = Session(Side.CLIENT, DEFAULT, 0.0), Session(Side.SERVER, DEFAULT, 0.0)
        self.calls = OpenCalls(self.session)
        self.stopped = []
        for session in (self.session, self._peer):
            session.skip_login()
        self.session.receive(self._peer.take(), 0.0)

    def ask(self, *, stream=False, source=False, deadline=None):
        """Make a call: its channel, and who waits for it."""
        channel = self.session.call(CALL)
        if stream:
            waiting = self.calls.streams[channel] = Reader()
        else:
            waiting = Future()
            self.calls.replies[channel] = (waiting, DECODE, "m")
        if source:
            self.calls.sources[channel] = lambda: self.stopped.append(channel)
        if deadline is not None:
            if self.calls.deadlines is None:
                self.calls.deadlines = Deadlines()
            self.calls.deadlines.add(channel, deadline)
        self.heard()
        return channel, waiting

    def told(self, kind, channel, payload=b""):
        """The peer's frame, and what its owner does with it."""
        self._peer.send(kind, channel, payload)
        for kind, channel, content in self.session.receive(self._peer.take(), 0.0):
            match kind:
                case Kind.RESULT:
                    self.calls.answered(channel, content)
                case Kind.ERROR:
                    self.calls.failed(channel, content)
                case Kind.END:
                    self.calls.ended(channel)
                case _:
                    self.calls.element(channel, content, kind == Kind.DATA)

    def heard(self):
        """Kinds and channels of what the peer was told since."""
        return [(Kind(kind), channel) for kind, channel, _ in self._peer.receive(self.session.take(), 0.0)]

    def nothing_open(self):
        calls = self.calls
        return not (calls.replies or calls.streams or calls.sources or calls.deadlines)


@pytest.fixture
def ours():
    return Ours()


BOTH = pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])


def error_of(waiting):
    return waiting.exception(0) if isinstance(waiting, Future) else waiting.told[-1]


def test_answers_find_those_who_wait_whatever_their_order(ours):
    (first, one), (second, two) = ours.ask(), ours.ask()
    ours.told(Kind.RESULT, second, encode("second"))
    ours.told(Kind.RESULT, first, encode("first"))
    assert (one.result(0), two.result(0)) == ("first", "second")
    assert ours.nothing_open()


def test_an_answer_takes_its_deadline_along_and_stops_what_is_sent(ours):
    channel, waiting = ours.ask(source=True, deadline=5.0)
    ours.told(Kind.RESULT, channel, encode(1))
    assert waiting.result(0) == 1
    assert ours.stopped == [channel]
    assert ours.nothing_open()


def test_an_answer_of_another_kind_than_was_wanted_is_said(ours):
    channel, waiting = ours.ask()
    ours.calls.replies[channel] = (waiting, msgspec.msgpack.Decoder(int).decode, "m")
    ours.told(Kind.RESULT, channel, encode("not a number"))
    with pytest.raises(InvalidArgument, match="the result of m"):
        waiting.result(0)


@BOTH
def test_an_error_is_told_whole_and_ends_the_call(ours, stream):
    channel, waiting = ours.ask(stream=stream, source=True, deadline=5.0)
    ours.told(Kind.ERROR, channel, encode(Fault("conflict", "no", {"have": 1})))
    error = error_of(waiting)
    assert isinstance(error, Conflict)
    assert (error.remote, error.message, error.data) == (True, "no", {"have": 1})
    assert ours.stopped == [channel]
    assert ours.nothing_open()


def test_a_stream_is_read_in_order_to_its_end(ours):
    channel, reader = ours.ask(stream=True, source=True, deadline=5.0)
    ours.told(Kind.ITEM, channel, b"\x01")
    ours.told(Kind.DATA, channel, b"raw")
    assert ours.calls.deadlines
    ours.told(Kind.END, channel)
    assert reader.told == [(b"\x01", False), (b"raw", True), None]
    assert ours.stopped == [channel]
    assert ours.nothing_open()


def test_a_stream_where_a_value_was_wanted_is_refused_and_the_peer_stopped(ours):
    channel, waiting = ours.ask(deadline=5.0)
    ours.told(Kind.ITEM, channel, b"\x01")
    with pytest.raises(InvalidArgument, match=r"use stream\(\)"):
        waiting.result(0)
    assert ours.heard() == [(Kind.CANCEL, channel)]
    assert ours.nothing_open()


def test_an_empty_stream_where_a_value_was_wanted_is_refused_too(ours):
    channel, waiting = ours.ask()
    ours.told(Kind.END, channel)
    with pytest.raises(InvalidArgument, match=r"use stream\(\)"):
        waiting.result(0)
    assert ours.heard() == []


def test_a_value_where_a_stream_was_wanted_is_refused(ours):
    channel, reader = ours.ask(stream=True)
    ours.told(Kind.RESULT, channel, encode(1))
    with pytest.raises(InvalidArgument, match=r"use call\(\)"):
        raise error_of(reader)
    assert ours.nothing_open()


@BOTH
def test_at_the_deadline_both_sides_are_told(ours, stream):
    channel, waiting = ours.ask(stream=stream, source=True, deadline=5.0)
    (over,) = ours.calls.deadlines.due(5.01)
    ours.calls.expire(over)
    assert over == channel
    with pytest.raises(DeadlineExceeded, match="the stream gave" if stream else "m gave"):
        raise error_of(waiting)
    assert ours.heard() == [(Kind.CANCEL, channel)]
    assert ours.stopped == [channel]
    assert ours.nothing_open()


@BOTH
def test_who_gives_up_is_not_told_anything_any_more_and_the_peer_is(ours, stream):
    channel, waiting = ours.ask(stream=stream, source=True, deadline=5.0)
    assert ours.calls.give_up(channel)
    assert ours.heard() == [(Kind.CANCEL, channel)]
    assert ours.stopped == [channel]
    assert ours.nothing_open()
    assert not (waiting.done() if not stream else waiting.told)
    assert not ours.calls.give_up(channel)
    assert ours.heard() == []


def test_what_was_answered_cannot_be_given_up(ours):
    channel, waiting = ours.ask()
    ours.told(Kind.RESULT, channel, encode(1))
    assert not ours.calls.give_up(channel)
    assert (waiting.result(0), ours.heard()) == (1, [])


def test_frames_of_calls_nobody_waits_for_change_nothing(ours):
    channel = ours.session.call(CALL)  # as tell() does
    other, waiting = ours.ask()
    ours.told(Kind.RESULT, channel, encode(1))
    assert not waiting.done()
    ours.told(Kind.RESULT, other, encode(2))
    assert waiting.result(0) == 2


def test_the_callers_own_stream_may_end_long_before_the_answer():
    """The other side of it: a call that is answered here, whose stream has ended, keeps its deadline."""
    server = Session(Side.SERVER, DEFAULT, 0.0)
    client = Session(Side.CLIENT, DEFAULT, 0.0)
    for session in (server, client):
        session.skip_login()
    calls, reader = OpenCalls(server), Reader()
    channel = client.call(encode(("m", {}, 5.0, True)), streaming=True)
    client.send(Kind.ITEM, channel, b"\x01")
    client.send(Kind.END, channel)
    calls.streams[channel] = reader
    calls.deadlines = Deadlines()
    calls.deadlines.add(channel, 5.0)
    for kind, where, content in server.receive(client.take(), 0.0)[1:]:
        if kind == Kind.END:
            calls.ended(where)
        else:
            calls.element(where, content, False)
    assert reader.told == [(b"\x01", False), None]
    assert calls.deadlines
    calls.let_go(channel)
    assert not calls.deadlines


def test_work_that_is_over_lets_go_of_a_stream_that_is_not(ours):
    channel, reader = ours.ask(stream=True, deadline=5.0)
    ours.calls.let_go(channel)
    assert isinstance(error_of(reader), LinkClosed)
    assert ours.nothing_open()


def test_a_lost_link_is_told_to_everybody_once(ours):
    _, answered = ours.ask()
    answered.set_result("already")
    waiting = [ours.ask(stream=stream, source=True, deadline=5.0) for stream in (False, True)]
    ours.calls.lost(LinkClosed("the cable was cut"))
    for _, each in waiting:
        with pytest.raises(LinkClosed, match="the cable was cut"):
            raise error_of(each)
    assert answered.result(0) == "already"
    assert ours.stopped == [channel for channel, _ in waiting]
    assert ours.nothing_open()
    for channel, _ in waiting:
        assert not ours.calls.give_up(channel)
    assert repr(ours.calls) == "<OpenCalls 0 to be answered, 0 streams in, 0 out>"

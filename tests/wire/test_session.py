import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tieline.errors import LimitExceeded, LinkClosed, ProtocolError, TooLarge
from tieline.limits import Limits
from tieline.wire.flow import ELEMENT
from tieline.wire.frames import HEADER, PREFACE, Kind, frame
from tieline.wire.messages import VERSIONS, Auth, Call, GoAway, Hello, Welcome, encode
from tieline.wire.moves import LinkState, Side
from tieline.wire.session import Session

from .conftest import Ends


def kinds(events):
    return [(Kind(kind).name, channel) for kind, channel, _ in events]


def meant(make_ends, reads, calls):
    """What a server, which has made so many calls itself, makes of these reads, and what they leave of it."""
    server = make_ends().log_in().server
    for number in range(calls):
        server.call(CALLS[number % 2], streaming=number % 2 == 1)
    events = []
    try:
        for data in reads:
            events += server.receive(data, 0.0)
    except (ProtocolError, LimitExceeded) as error:
        return str(error)
    said = [(kind, channel, encode(what) if isinstance(what, Call) else what) for kind, channel, what in events]
    return said, server.take(), server._channels, set(server._flows)


CALLS = [encode(("m", {}, None, streaming)) for streaming in (False, True)]
FRAMES = st.tuples(
    st.sampled_from([*Kind, *[Kind.CALL, Kind.RESULT, Kind.DATA, Kind.END] * 5]),
    st.sampled_from([0, 1, 1, 2, 2, 3, 4, 5, 7]),
    st.sampled_from([*CALLS, b"", b"\x01", bytes(4), bytes(8), bytes(1001)]),
)


@example([(Kind.DATA, 2, b"\x01"), (Kind.END, 2, b"")], 1)
@example([(Kind.CALL, 1, CALLS[1]), (Kind.DATA, 1, b"\x01"), (Kind.RESULT, 2, b"")], 1)
@given(st.lists(FRAMES, min_size=1, max_size=12), st.integers(0, 3))
def test_one_frame_in_a_read_means_what_it_means_among_others(frames, calls):
    data = [frame(*each) for each in frames]
    together = b"".join(data)
    assert meant(Ends, data, calls) == meant(Ends, [together[:5], together[5:]], calls)


# -- opening -------------------------------------------------------------------------------------------------------


def test_a_link_opens_in_turns(fresh):
    fresh.log_in()
    assert fresh.client.state is fresh.server.state is LinkState.OPEN


def test_the_preface_is_sent_once(fresh):
    assert fresh.client.take() == PREFACE
    assert fresh.client.take() == b""


def test_each_side_may_speak_only_when_it_is_its_turn(fresh):
    with pytest.raises(ProtocolError) as caught:
        fresh.server.send_turn(Kind.HELLO, b"")
    assert not caught.value.remote
    with pytest.raises(LinkClosed):
        fresh.client.call(b"")


def test_nothing_of_a_channel_is_taken_before_the_login(fresh, a_call):
    fresh.server.receive(PREFACE, 0.0)
    with pytest.raises(ProtocolError, match="CALL"):
        fresh.forge(Kind.CALL, 1, a_call)


def test_before_the_login_frames_are_held_to_a_smaller_limit(fresh):
    with pytest.raises(LimitExceeded) as caught:
        fresh.server.receive(PREFACE + HEADER.pack(201, Kind.HELLO, 0), 0.0)
    assert caught.value.limit == 200


def test_a_large_frame_right_behind_the_welcome_is_read_with_the_new_limit(fresh):
    hello = encode(Hello(VERSIONS, "test", 1000, 500))
    fresh.client.send_turn(Kind.HELLO, hello)
    fresh.carry()
    fresh.server.send_turn(Kind.HELLO, hello)
    fresh.carry()
    fresh.client.send_turn(Kind.AUTH, encode(Auth("X", b"")))
    fresh.carry()
    fresh.server.send_turn(Kind.WELCOME, encode(Welcome("ada", "laptop", (), "lab")))
    channel = fresh.server.call(encode(("m", {"text": "x" * 900}, None)))
    _, at_client = fresh.carry()
    assert kinds(at_client) == [("WELCOME", 0), ("CALL", channel)]


def test_the_peers_own_limits_are_kept_by_us(fresh):
    fresh.client.send_turn(Kind.HELLO, encode(Hello(VERSIONS, "test", 300, 7)))
    fresh.carry()
    hello = encode(Hello(VERSIONS, "test", 1000, 500))
    fresh.server.send_turn(Kind.HELLO, hello)
    fresh.carry()
    fresh.client.send_turn(Kind.AUTH, encode(Auth("X", b"")))
    fresh.carry()
    fresh.server.send_turn(Kind.WELCOME, encode(Welcome("ada", "laptop", (), "lab")))
    with pytest.raises(TooLarge):
        fresh.server.call(b"x" * 301)
    channel = fresh.server.call(b"x" * 300)
    assert fresh.server.credit(channel) == 7


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("leaver", ["client", "server"])
def test_either_side_may_take_its_leave_at_any_point_of_the_opening(fresh, turns, leaver):
    hello = encode(Hello(VERSIONS, "test", 1000, 500))
    steps = [
        lambda: fresh.client.send_turn(Kind.HELLO, hello),
        lambda: fresh.server.send_turn(Kind.HELLO, hello),
        lambda: fresh.client.send_turn(Kind.AUTH, encode(Auth("X", b""))),
        lambda: fresh.server.send_turn(Kind.AUTH, encode(Auth("X", b""))),
    ]
    for step in steps[:turns]:
        step()
        fresh.carry()
    getattr(fresh, leaver).goaway("enough", code="closing")
    at_server, at_client = fresh.carry()
    assert [event[2] for event in at_server + at_client] == [GoAway("enough", None, "closing")]


def test_two_in_one_process_may_skip_the_login(fresh, a_call):
    fresh.client.skip_login()
    fresh.server.skip_login()
    channel = fresh.client.call(a_call)
    assert kinds(fresh.carry()[0]) == [("CALL", channel)]


# -- calls ---------------------------------------------------------------------------------------------------------


def test_clients_open_odd_channels_and_servers_even_ones(ends, a_call):
    assert [ends.client.call(a_call) for _ in range(3)] == [1, 3, 5]
    assert [ends.server.call(a_call) for _ in range(3)] == [2, 4, 6]
    at_server, at_client = ends.carry()
    assert kinds(at_server) == [("CALL", 1), ("CALL", 3), ("CALL", 5)]
    assert kinds(at_client) == [("CALL", 2), ("CALL", 4), ("CALL", 6)]
    assert isinstance(at_server[0][2], Call)


def test_a_result_ends_the_channel_on_both_sides(ends, a_call):
    channel = ends.client.call(a_call)
    ends.carry()
    assert ends.server.send(Kind.RESULT, channel, b"\x01")
    assert not ends.server.is_open(channel)
    _, at_client = ends.carry()
    assert kinds(at_client) == [("RESULT", channel)]
    assert ends.client.open_channels == ends.server.open_channels == 0


@pytest.mark.parametrize("channel", [0, 2, 4, 2**31 + 1, 2**32 - 1])
def test_a_channel_number_the_caller_may_not_use_is_refused(ends, a_call, channel):
    with pytest.raises(ProtocolError):
        ends.forge(Kind.CALL, channel, a_call)


def test_a_channel_is_opened_once_only(ends, a_call):
    ends.forge(Kind.CALL, 5, a_call)
    for again in (5, 3, 1):
        with pytest.raises(ProtocolError):
            ends.forge(Kind.CALL, again, a_call)
    ends.server.send(Kind.RESULT, 5, b"\x01")
    with pytest.raises(ProtocolError):
        ends.forge(Kind.CALL, 5, a_call)


def test_channel_numbers_begin_again_after_the_last_one(ends, a_call):
    ends.client._last_local = ends.server._last_remote = 2**32 - 5
    ends.server._last_local = ends.client._last_remote = 2**32 - 4
    still_open = 1
    ends.client._channels[still_open] = ends.client._channels.get(still_open) or _waiting(ends, a_call)
    assert [ends.client.call(a_call) for _ in range(4)] == [2**32 - 3, 2**32 - 1, 3, 5]
    assert [ends.server.call(a_call) for _ in range(3)] == [2**32 - 2, 2, 4]
    at_server, at_client = ends.carry()
    assert kinds(at_server) == [("CALL", c) for c in (2**32 - 3, 2**32 - 1, 3, 5)]
    assert kinds(at_client) == [("CALL", c) for c in (2**32 - 2, 2, 4)]


def _waiting(ends, a_call):
    probe = type(ends)().log_in().client
    return probe._channels[probe.call(a_call)]


def test_frames_of_a_channel_from_before_the_wrap_are_still_late_not_wrong(ends, a_call):
    ends.server._last_remote = 3
    assert ends.forge(Kind.CANCEL, 2**32 - 1) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x92\x01\x80",
        b"\x92\xa1\xff\x80",
        b"\x92\xa1m" + b"\x91" * 600,
        b"\x94\xa1m\x80\xa1x\xc2",
    ],
)
def test_a_call_that_cannot_be_read_is_a_protocol_error(ends, payload):
    with pytest.raises(ProtocolError, match="CALL"):
        ends.forge(Kind.CALL, 1, payload)


@pytest.mark.parametrize("unit", [b"\x91", b"\x81\xa1a"])
def test_parameters_nested_ten_thousand_deep_are_a_protocol_error(make_ends, unit):
    ends = make_ends(Limits()).log_in()
    for depth in (10_000, 300_000):
        with pytest.raises(ProtocolError):
            ends.forge(Kind.CALL, 1, b"\x92\xa1m" + unit * depth + b"\xc0")


def test_a_length_of_four_gigabytes_is_refused_without_allocating(make_ends):
    ends = make_ends(Limits()).log_in()
    tracemalloc.start()
    with pytest.raises(LimitExceeded):
        ends.server.receive(HEADER.pack(2**32 - 1, Kind.CALL, 1), 0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000
    assert ends.server._cutter.kept == 0


def test_a_bad_length_behind_good_frames_is_found_in_the_same_read(ends, a_call):
    with pytest.raises(LimitExceeded):
        ends.server.receive(frame(Kind.CALL, 1, a_call) + HEADER.pack(1001, Kind.CALL, 3), 0.0)


def test_what_the_peer_will_not_accept_is_not_sent(ends, a_call):
    with pytest.raises(TooLarge):
        ends.client.call(b"x" * 1001)
    channel = ends.client.call(a_call)
    ends.carry()
    with pytest.raises(TooLarge):
        ends.server.send(Kind.RESULT, channel, b"x" * 1001)
    assert ends.server.send(Kind.ERROR, channel, b"x")  # the channel is as it was


# -- late and wrong frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.CANCEL, Kind.CREDIT, Kind.ITEM, Kind.DATA, Kind.END, Kind.RESULT, Kind.ERROR])
def test_a_late_frame_of_a_closed_channel_is_dropped(ends, a_call, kind):
    ends.client.call(a_call)
    ends.carry()
    ends.server.send(Kind.RESULT, 1, b"\x01")
    assert ends.forge(kind, 1, b"\x01") == []


@pytest.mark.parametrize(
    "kind", [0, 16, 99, 255, Kind.HELLO, Kind.AUTH, Kind.WELCOME, Kind.EVENT, Kind.PING, Kind.GOAWAY]
)
def test_a_kind_no_channel_knows_is_wrong_even_on_a_closed_one(ends, a_call, kind):
    ends.client.call(a_call)
    ends.carry()
    ends.server.send(Kind.RESULT, 1, b"\x01")
    with pytest.raises(ProtocolError):
        ends.forge(kind, 1, b"")


@pytest.mark.parametrize("kind", [0, 16, 99, 255])
@pytest.mark.parametrize("channel", [0, 1, 2, 7])
def test_unknown_kinds_are_refused_everywhere(ends, a_call, kind, channel):
    ends.client.call(a_call)
    ends.carry()
    with pytest.raises(ProtocolError, match="unknown frame kind"):
        ends.forge(kind, channel)


@pytest.mark.parametrize("channel", [3, 2, 2**31 - 1])
def test_a_frame_of_a_channel_that_never_was_is_refused(ends, a_call, channel):
    ends.client.call(a_call)
    ends.carry()
    with pytest.raises(ProtocolError, match="never opened"):
        ends.forge(Kind.CANCEL, channel)


def test_a_client_may_not_send_events(ends):
    with pytest.raises(ProtocolError):
        ends.forge(Kind.EVENT, 0, b"")


def test_sending_on_a_channel_that_is_over_says_so_and_sends_nothing(ends, a_call):
    channel = ends.client.call(a_call)
    ends.carry()
    ends.server.send(Kind.RESULT, channel, b"\x01")
    ends.server.take()
    assert not ends.server.send(Kind.RESULT, channel, b"\x01")
    assert ends.server.take() == b""


# -- streams -------------------------------------------------------------------------------------------------------


def test_a_sender_without_credit_breaks_the_protocol(ends, a_call):
    channel = ends.client.call(a_call)
    ends.carry()
    while ends.server.credit(channel) > 0:
        ends.server.send(Kind.DATA, channel, b"x" * 100)
    ends.carry()
    ends.server.send(Kind.DATA, channel, b"x")
    with pytest.raises(ProtocolError, match="without credit"):
        ends.carry()


def test_empty_elements_cost_credit_too(ends, a_call):
    channel = ends.client.call(a_call)
    ends.carry()
    sent = 0
    while ends.server.credit(channel) > 0:
        ends.server.send(Kind.DATA, channel)
        sent += 1
    assert sent <= 500 // ELEMENT + 1
    ends.carry()


def test_credit_comes_back_as_the_reader_uses_elements_up(ends, a_call):
    channel = ends.client.call(a_call)
    ends.carry()
    got = 0
    for _ in range(100):
        if ends.server.credit(channel) > 0:
            ends.server.send(Kind.DATA, channel, b"x" * 90)
        for kind, _, payload in ends.carry()[1]:
            if kind == Kind.DATA:
                got += 1
                ends.client.consumed(channel, len(payload))
    assert got > 95


def test_each_direction_has_its_own_credit(ends):
    channel = ends.client.call(encode(("m", {}, None, True)), streaming=True)
    ends.carry()
    ends.client.send(Kind.DATA, channel, b"x" * 100)
    assert ends.client.credit(channel) == 500 - 100 - ELEMENT
    assert ends.server.credit(channel) == 500


@pytest.mark.parametrize(
    "payload", [b"", b"\x00", b"\xff", b"\xa1x", b"\xcf" + b"\xff" * 8, b"\x01\x01", b"\xca\x00\x00\x00\x00"]
)
def test_credit_must_be_a_sane_number(ends, a_call, payload):
    ends.client.call(a_call)
    ends.carry()
    with pytest.raises(ProtocolError, match="CREDIT"):
        ends.forge(Kind.CREDIT, 1, payload)


def test_a_closed_channel_leaves_nothing_behind(ends):
    for _ in range(50):
        channel = ends.client.call(encode(("m", {}, None, True)), streaming=True)
        ends.client.send(Kind.ITEM, channel, b"\x01")
        ends.carry()
        ends.server.consumed(channel, 1)
        ends.server.send(Kind.ITEM, channel, b"\x01")
        ends.server.send(Kind.END, channel)
        ends.carry()
    for session in (ends.client, ends.server):
        assert session.open_channels == 0
        assert not session._flows


# -- time ----------------------------------------------------------------------------------------------------------


def test_a_silent_peer_is_pinged_and_its_answer_keeps_the_link(ends):
    assert ends.server.deadline() == 20.0
    ends.server.tick(19.9)
    assert ends.server.take() == b""
    ends.server.tick(20.0)
    assert ends.server.deadline() == 40.0
    ends.client.receive(ends.server.take(), 20.1)
    ends.server.receive(ends.client.take(), 20.2)
    assert ends.server.deadline() == 40.2
    ends.server.tick(40.1)
    assert ends.server.take() == b""


def test_a_peer_silent_for_two_ping_times_is_gone(ends):
    ends.server.tick(20.0)
    ends.server.tick(39.9)
    with pytest.raises(LinkClosed, match="nothing heard for 40 s"):
        ends.server.tick(40.0)


def test_any_byte_is_a_sign_of_life(ends, a_call):
    whole = frame(Kind.CALL, 1, a_call)
    for second, byte in enumerate(whole):
        ends.server.tick(second * 19.0)
        ends.server.receive(bytes([byte]), second * 19.0)
    assert ends.server.take() == b""


def test_a_ping_is_answered_with_its_own_payload(ends):
    assert ends.forge(Kind.PING, 0, b"abc") == []
    assert ends.server.take() == frame(Kind.PONG, 0, b"abc")


def test_before_the_login_there_are_no_pings_but_silence_still_ends_the_link(fresh):
    fresh.server.take()
    fresh.server.tick(20.0)
    assert fresh.server.take() == b""
    with pytest.raises(LinkClosed):
        fresh.server.tick(40.0)


# -- goodbye ---------------------------------------------------------------------------------------------------------


def test_after_goaway_open_calls_finish_and_new_ones_are_refused(ends, a_call):
    channel = ends.client.call(a_call)
    ends.carry()
    ends.server.goaway("restarting", retry_after=3.0)
    ends.server.goaway("twice is once")
    _, at_client = ends.carry()
    assert [event[2] for event in at_client] == [GoAway("restarting", 3.0, "closing")]
    assert ends.client.goodbye == GoAway("restarting", 3.0, "closing")
    with pytest.raises(LinkClosed):
        ends.client.call(a_call)
    ends.server.send(Kind.RESULT, channel, b"\x01")
    assert kinds(ends.carry()[1]) == [("RESULT", channel)]


def test_a_mistake_after_both_goodbyes_is_still_told(ends):
    ends.client.goaway("leaving")
    ends.server.goaway("leaving too")
    ends.carry()
    ends.server.goaway("you broke it", code="protocol")
    _, at_client = ends.carry()
    assert [event[2].reason for event in at_client] == ["you broke it"]
    assert ends.client.goodbye.code == "protocol"


def test_a_call_that_crossed_the_goaway_still_arrives(ends, a_call):
    ends.server.goaway("restarting")
    channel = ends.client.call(a_call)
    at_server, _ = ends.carry()
    assert kinds(at_server) == [("CALL", channel)]


def test_a_session_introduces_itself():
    assert repr(Session(Side.CLIENT, Limits(), 0.0)) == "<Session client client_hello 0 channels>"

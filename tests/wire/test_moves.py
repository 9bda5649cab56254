import pytest

from tieline.errors import ProtocolError
from tieline.wire.frames import PREFACE, Kind, frame
from tieline.wire.messages import encode
from tieline.wire.moves import CHANNEL, LINK, ChannelState, LinkState, Role, Side, mermaid

LINK_KINDS = {Kind.PING, Kind.PONG, Kind.GOAWAY, Kind.EVENT}
OPEN_STATES = [state for state in ChannelState if state is not ChannelState.CLOSED]
# How a channel gets into each state, as (who, kind).
WAY = {
    ChannelState.WAITING: [],
    ChannelState.SENDING: [],
    ChannelState.ANSWERING: [(Role.CALLEE, Kind.ITEM)],
    ChannelState.BOTH: [(Role.CALLEE, Kind.ITEM)],
}
ILLEGAL = [
    (state, role, kind) for state in OPEN_STATES for role in Role for kind in Kind if (role, kind) not in CHANNEL[state]
]
LEGAL = [(state, role, kind, then) for state in OPEN_STATES for (role, kind), then in CHANNEL[state].items()]
OUT_OF_TURN = [
    (state, sender, kind)
    for state in LinkState
    for sender in Side
    for kind in Kind
    if state is not LinkState.OPEN and (sender, kind) not in LINK[state]
]
PAYLOAD = {Kind.CREDIT: b"\x01"}


def channel_in(ends, state):
    streaming = state in (ChannelState.SENDING, ChannelState.BOTH)
    channel = ends.client.call(encode(("m", {}, None, streaming)), streaming=streaming)
    ends.carry()
    for role, kind in WAY[state]:
        (ends.client if role is Role.CALLER else ends.server).send(kind, channel, b"\x01")
        ends.carry()
    return channel


def sessions(ends, role):
    return (ends.client, ends.server) if role is Role.CALLER else (ends.server, ends.client)


@pytest.mark.parametrize(("state", "role", "kind", "then"), LEGAL)
def test_every_legal_move_is_made_and_understood(ends, state, role, kind, then):
    channel = channel_in(ends, state)
    mover, other = sessions(ends, role)
    assert mover.send(kind, channel, PAYLOAD.get(kind, b""))
    events = other.receive(mover.take(), 0.0)
    assert [event[:2] for event in events] == [(kind, channel)]
    assert mover.is_open(channel) == other.is_open(channel) == (then is not ChannelState.CLOSED)


@pytest.mark.parametrize(("state", "role", "kind"), ILLEGAL)
def test_every_other_move_is_refused_by_the_receiver_and_by_ourselves(ends, state, role, kind):
    channel = channel_in(ends, state)
    mover, other = sessions(ends, role)
    with pytest.raises(ProtocolError) as ours:
        mover.send(kind, channel, PAYLOAD.get(kind, b""))
    assert not ours.value.remote
    with pytest.raises(ProtocolError) as theirs:
        other.receive(frame(kind, channel, PAYLOAD.get(kind, b"")), 0.0)
    assert theirs.value.remote
    assert kind.name in str(theirs.value)


@pytest.mark.parametrize(("state", "sender", "kind"), OUT_OF_TURN)
def test_every_illegal_move_of_the_opening_is_refused(fresh, state, sender, kind):
    receiver = fresh.server if sender is Side.CLIENT else fresh.client
    receiver.receive(PREFACE, 0.0)
    receiver._opening.state = state
    with pytest.raises(ProtocolError, match=kind.name):
        receiver.receive(frame(kind, 0), 0.0)


@pytest.mark.parametrize("sender", Side)
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in LINK_KINDS])
def test_on_channel_zero_only_the_links_own_kinds_are_legal(ends, sender, kind):
    receiver = ends.server if sender is Side.CLIENT else ends.client
    with pytest.raises(ProtocolError):
        receiver.receive(frame(kind, 0), 0.0)


def test_every_open_state_can_be_left_by_both_sides():
    for state in OPEN_STATES:
        assert CHANNEL[state][Role.CALLER, Kind.CANCEL] is ChannelState.CLOSED
        assert CHANNEL[state][Role.CALLEE, Kind.ERROR] is ChannelState.CLOSED


def test_the_diagram_shows_every_state():
    drawn = mermaid()
    for state in (*LinkState, *ChannelState):
        assert state.name in drawn

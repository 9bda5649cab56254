import pytest

from tieline.errors import ProtocolError
from tieline.limits import Limits
from tieline.wire.frames import Kind
from tieline.wire.messages import VERSIONS, GoAway, Hello, encode
from tieline.wire.moves import LINK, LinkState, Side
from tieline.wire.opening import Opening

LIMITS = Limits(frame=1000, login_frame=200, window=500)
HELLO = encode(Hello(VERSIONS, "test", 700, 300))
TURNS = [
    (Side.CLIENT, Kind.HELLO),
    (Side.SERVER, Kind.HELLO),
    (Side.CLIENT, Kind.AUTH),
    (Side.SERVER, Kind.AUTH),
    (Side.CLIENT, Kind.AUTH),
    (Side.SERVER, Kind.WELCOME),
]


@pytest.fixture
def client():
    return Opening(Side.CLIENT, LIMITS)


@pytest.fixture
def server():
    return Opening(Side.SERVER, LIMITS)


def test_both_sides_agree_in_every_turn_and_are_open_after_the_welcome(client, server):
    for speaker, kind in TURNS:
        assert client.state is server.state is not LinkState.OPEN
        says, hears = (client, server) if speaker is Side.CLIENT else (server, client)
        payload = HELLO if kind is Kind.HELLO else b"proof"
        says.sent(kind)
        said = hears.received(kind, 0, payload)
        assert said == (Hello(VERSIONS, "test", 700, 300) if kind is Kind.HELLO else payload)
    assert client.state is server.state is LinkState.OPEN
    assert (client.peer_frame, client.peer_window) == (server.peer_frame, server.peer_window) == (700, 300)


@pytest.mark.parametrize("state", LinkState)
@pytest.mark.parametrize("kind", Kind)
def test_who_speaks_out_of_turn_is_told_whose_mistake_it_is(client, server, state, kind):
    for mine, opening, other in ((Side.CLIENT, client, Side.SERVER), (Side.SERVER, server, Side.CLIENT)):
        opening.state = state
        if (mine, kind) not in LINK[state]:
            with pytest.raises(ProtocolError, match=kind.name) as ours:
                opening.sent(kind)
            assert not ours.value.remote
        if (other, kind) not in LINK[state]:
            with pytest.raises(ProtocolError, match=kind.name) as theirs:
                opening.received(kind, 0, b"")
            assert theirs.value.remote
        assert opening.state is state


def test_an_unknown_kind_is_named_by_its_number(server):
    with pytest.raises(ProtocolError, match="unknown frame kind 99 while client says hello"):
        server.received(99, 0, b"")


def test_the_opening_has_no_channels(server):
    with pytest.raises(ProtocolError, match="channel 0"):
        server.received(Kind.HELLO, 1, HELLO)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ((0, 0), (200, 1)),
        ((-5, -5), (200, 1)),
        ((199, 1), (200, 1)),
        ((201, 2), (201, 2)),
        ((2**63, 2**63), (2**30, 2**30)),
    ],
)
def test_what_a_peer_says_it_accepts_is_taken_as_the_nearest_sane_number(server, said, taken):
    server.received(Kind.HELLO, 0, encode(Hello(VERSIONS, "test", *said)))
    assert (server.peer_frame, server.peer_window) == taken


@pytest.mark.parametrize("state", [state for state in LinkState if LINK[state]])
def test_a_goodbye_ends_it_at_any_point(client, server, state):
    for opening in (client, server):
        opening.state = state
        assert opening.received(Kind.GOAWAY, 0, encode(GoAway("enough"))) == GoAway("enough")
        assert opening.state is LinkState.CLOSED


def test_within_one_process_both_accept_the_same(client):
    client.skip()
    assert client.state is LinkState.OPEN
    assert (client.peer_frame, client.peer_window) == (LIMITS.frame, LIMITS.window)

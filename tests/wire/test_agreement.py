"""Two sessions driven against each other by random legal moves, over a channel that cuts bytes anywhere."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tieline.limits import Limits
from tieline.wire.frames import Kind
from tieline.wire.messages import VERSIONS, Auth, Hello, Welcome, encode
from tieline.wire.moves import CHANNEL, ChannelState, Role, Side
from tieline.wire.session import Session

LIMITS = Limits(frame=300, login_frame=200, window=200)
CLOSED = ChannelState.CLOSED
ENDS = st.sampled_from([Side.CLIENT, Side.SERVER])
MOVES = [Kind.RESULT, Kind.ERROR, Kind.ITEM, Kind.DATA, Kind.END, Kind.CANCEL]


class Model:
    """One end, and the plain account of what it must believe: each channel's role and state."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.session = Session(side, LIMITS, 0.0)
        self.wire = b""  # on its way to this end
        self.sent: list[tuple[int, int, bytes]] = []
        self.heard: list[tuple[int, int, bytes]] = []
        self.states: dict[int, tuple[Role, ChannelState]] = {}
        self.unread: list[tuple[int, int]] = []  # elements not used up yet: channel, size

    def moved(self, role: Role, kind: int, channel: int) -> None:
        mine, state = self.states[channel]
        self.states[channel] = (mine, CHANNEL[state][role, Kind(kind)])


class TwoSessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ends = {side: Model(side) for side in Side}
        hello = encode(Hello(VERSIONS, "test", LIMITS.frame, LIMITS.window, ("X",)))
        client, server = (self.ends[side].session for side in (Side.CLIENT, Side.SERVER))
        for one, other, kind, payload in (
            (client, server, Kind.HELLO, hello),
            (server, client, Kind.HELLO, hello),
            (client, server, Kind.AUTH, encode(Auth("X", b""))),
            (server, client, Kind.WELCOME, encode(Welcome("ada", "laptop", (), "lab"))),
        ):
            one.send_turn(kind, payload)
            other.receive(one.take(), 0.0)

    def other(self, end: Model) -> Model:
        return self.ends[Side.SERVER if end.side is Side.CLIENT else Side.CLIENT]

    @rule(side=ENDS, streaming=st.booleans())
    def call(self, side, streaming):
        end = self.ends[side]
        if end.session.closing:
            return
        payload = encode(("m", {}, None, streaming))
        channel = end.session.call(payload, streaming=streaming)
        end.states[channel] = (Role.CALLER, ChannelState.SENDING if streaming else ChannelState.WAITING)
        end.sent.append((Kind.CALL, channel, payload))

    @rule(side=ENDS, kind=st.sampled_from(MOVES), size=st.integers(0, 300), data=st.data())
    def move(self, side, kind, size, data):
        end = self.ends[side]
        able = [c for c, (role, state) in end.states.items() if (role, kind) in CHANNEL[state]]
        if kind in (Kind.ITEM, Kind.DATA):
            able = [c for c in able if end.session.credit(c) > 0]
        if able:
            channel = data.draw(st.sampled_from(able))
            assert end.session.send(kind, channel, bytes(size))
            end.sent.append((kind, channel, bytes(size)))
            end.moved(end.states[channel][0], kind, channel)

    @rule(side=ENDS)
    def use_up_an_element(self, side):
        end = self.ends[side]
        if end.unread:
            end.session.consumed(*end.unread.pop(0))

    @rule(side=ENDS)
    def write(self, side):
        end = self.ends[side]
        self.other(end).wire += end.session.take()

    @rule(side=ENDS, size=st.integers(1, 700))
    def read(self, side, size):
        end = self.ends[side]
        piece, end.wire = end.wire[:size], end.wire[size:]
        for kind, channel, content in end.session.receive(piece, 0.0):
            self.hear(end, kind, channel, content)

    def hear(self, end, kind, channel, content):
        if kind == Kind.GOAWAY:
            return
        if kind == Kind.CALL:
            end.heard.append((kind, channel, encode((content.method, {}, None, content.streaming))))
            end.states[channel] = (Role.CALLEE, ChannelState.SENDING if content.streaming else ChannelState.WAITING)
            return
        role, state = end.states[channel]
        assert state is not CLOSED, "a late frame was let through"
        if kind != Kind.CREDIT:
            end.heard.append((kind, channel, content))
        end.moved(Role.CALLEE if role is Role.CALLER else Role.CALLER, kind, channel)
        if kind in (Kind.ITEM, Kind.DATA):
            end.unread.append((channel, len(content)))

    @precondition(lambda self: any(end.sent for end in self.ends.values()))
    @rule(side=ENDS)
    def say_goodbye_sometimes(self, side):
        if len(self.ends[side].sent) > 15:
            self.ends[side].session.goaway("enough")

    @rule(side=ENDS)
    def ping(self, side):
        session = self.ends[side].session
        session.tick(session.deadline() if not session._pinged else 0.0)

    @invariant()
    def each_end_knows_which_channels_are_open(self):
        for end in self.ends.values():
            for channel, (_, state) in end.states.items():
                assert end.session.is_open(channel) == (state is not CLOSED)

    @invariant()
    def what_waits_for_a_reader_is_bounded(self):
        for end in self.ends.values():
            for channel in {channel for channel, _ in end.unread}:
                waiting = sum(size for at, size in end.unread if at == channel)
                assert waiting <= LIMITS.window + LIMITS.frame

    def teardown(self):
        for _ in range(3):
            for side in Side:
                self.write(side)
                self.read(side, 1 << 30)
        client, server = self.ends[Side.CLIENT], self.ends[Side.SERVER]
        for end in (client, server):
            other = self.other(end)
            # Heard is what the other sent, in order, without what was late for its channel.
            sent = iter(other.sent)
            assert all(each in sent for each in end.heard)
            for channel, (_, state) in end.states.items():
                assert (state is CLOSED) == (other.states[channel][1] is CLOSED)


TwoSessions.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
test_two_sessions_always_agree = TwoSessions.TestCase

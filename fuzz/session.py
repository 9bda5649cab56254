"""Any frames in any state: events or a ProtocolError or LimitExceeded, the state known, the memory bounded."""

from random import Random

from fuzz.material import EDGES, mutated, noise, pieces, value
from tieline.errors import LimitExceeded, LinkClosed, ProtocolError, TooLarge
from tieline.limits import Limits
from tieline.wire.frames import PREFACE, Kind, frame
from tieline.wire.messages import Auth, Fault, GoAway, Hello, Welcome, encode
from tieline.wire.moves import LinkState, Side
from tieline.wire.session import Session

LIMITS = Limits(frame=2000, login_frame=300, window=500)


def once(dice: Random) -> None:
    session = Session(dice.choice(list(Side)), LIMITS, 0.0)
    if dice.random() < 0.7:
        session.skip_login()
    ours: list[int] = []
    now, data = 0.0, PREFACE
    try:
        for _ in range(dice.randrange(30)):
            data += likely(dice, ours)
            if dice.random() < 0.05:
                data = mutated(dice, data)
            for piece in pieces(dice, data):
                session.receive(piece, now)
            data = b""
            ours += act(dice, session)
            now += dice.choice((0.0, 1.0, 15.0))
            session.tick(now)
    except (ProtocolError, LimitExceeded, LinkClosed):
        pass
    assert session.open_channels <= 60
    assert len(session.take()) < 200_000
    assert session.state in LinkState


def likely(dice: Random, ours: list[int]) -> bytes:
    """A frame that could be right at some moment."""
    kind = dice.choice(list(Kind))
    channel = dice.choice((0, 0, 1, 1, 2, 3, 5, dice.choice(EDGES), *ours[-2:]))
    payload = {
        Kind.HELLO: lambda: encode(Hello((1,), "fuzz", dice.choice(EDGES), dice.choice(EDGES))),
        Kind.AUTH: lambda: encode(Auth("X", noise(dice))),
        Kind.WELCOME: lambda: encode(Welcome("ada", "x", (), "lab")),
        Kind.CALL: lambda: encode(("m", value(dice), dice.choice((None, 1.0)), dice.random() < 0.5)),
        Kind.ERROR: lambda: encode(Fault("x", "y", value(dice))),
        Kind.CREDIT: lambda: encode(dice.choice(EDGES)),
        Kind.GOAWAY: lambda: encode(GoAway("bye")),
        Kind.END: lambda: b"",
    }.get(kind, lambda: encode(value(dice)))()
    return frame(kind, channel, payload[:1900])


def act(dice: Random, session: Session) -> list[int]:
    """What its owner may do meanwhile: call, answer, use up, and look at the clock."""
    try:
        if dice.random() < 0.3:
            return [session.call(encode(("m", {}, None)), streaming=False)]
        channel = dice.randrange(8)
        session.send(dice.choice((Kind.RESULT, Kind.ITEM, Kind.END, Kind.CANCEL)), channel, noise(dice))
        session.consumed(channel, dice.randrange(100))
    except (LinkClosed, TooLarge):
        pass
    except ProtocolError as error:
        if error.remote:
            raise
    return []

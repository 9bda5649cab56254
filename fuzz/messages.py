"""Any payload: the message it is, or a ProtocolError; what was written is read back the same."""

from random import Random

import msgspec

from fuzz.material import mutated, noise, text, value
from tieline.errors import ProtocolError
from tieline.wire.messages import Auth, Call, Event, Fault, GoAway, Hello, Welcome, encode, read

KINDS = (Auth, Call, Event, Fault, GoAway, Hello, Welcome)


def once(dice: Random) -> None:
    kind = dice.choice(KINDS)
    match dice.randrange(4):
        case 0:
            payload = noise(dice)
        case 1:
            unit = dice.choice((b"\x91", b"\x81\xa1a", b"\x81\x91", b"\xdd\x00\x00\x00\x01"))
            payload = b"\x95" + unit * dice.choice((10, 2000, 50_000)) + noise(dice, 4)
        case _:
            payload = mutated(dice, encode([text(dice, ("a",), 3), *(value(dice) for _ in range(dice.randrange(6)))]))
    try:
        message = read(kind, payload)
    except ProtocolError:
        return
    assert isinstance(message, kind)
    again = read(kind, encode(message))
    assert encode(again) == encode(message)
    if isinstance(message, Call):
        assert isinstance(message.params, msgspec.Raw)

"""Any bytes, however cut: the same frames or the same refusal, and never more kept than one frame and its header."""

from random import Random

from fuzz.material import EDGES, mutated, noise, pieces
from tieline.errors import LimitExceeded, ProtocolError
from tieline.wire.frames import PREFACE, Frame, FrameCutter, frame

LIMIT = 300


def once(dice: Random) -> None:
    frames = [frame(dice.randrange(256), dice.choice(EDGES), noise(dice)) for _ in range(dice.randrange(6))]
    data = mutated(dice, PREFACE + b"".join(frames)) if dice.random() < 0.9 else noise(dice)
    whole, cut = read(dice, [data]), read(dice, list(pieces(dice, data)))
    assert whole == cut


def read(dice: Random, reads: list[bytes]) -> tuple[list[Frame], str]:
    cutter, frames = FrameCutter(LIMIT), []
    try:
        for data in reads:
            frames += cutter.feed(data)
            if cutter.refused:
                cutter.feed(b"")
            assert cutter.kept <= LIMIT + 9 + len(PREFACE)
    except (LimitExceeded, ProtocolError) as error:
        return frames, str(error).partition("it begins with")[0]  # of which it shows what has come
    return frames, ""

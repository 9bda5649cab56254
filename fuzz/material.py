"""What rounds are made of. Everything comes from the dice, so that a seed and a round number tell all of it."""

from collections.abc import Iterable, Iterator
from random import Random

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def noise(dice: Random, most: int = 64) -> bytes:
    return dice.randbytes(dice.randrange(most + 1))


def mutated(dice: Random, data: bytes) -> bytes:
    """The same, with something wrong in it (or, now and then, nothing)."""
    mutant = bytearray(data)
    for _ in range(dice.choice((0, 1, 1, 2, 8))):
        at = dice.randrange(len(mutant) + 1)
        match dice.randrange(5):
            case 0:
                mutant[at:at] = noise(dice, 8)
            case 1:
                del mutant[at : at + dice.randrange(1, 9)]
            case 2 if at < len(mutant):
                mutant[at] ^= 1 << dice.randrange(8)
            case 3:
                mutant[at : at + 4] = dice.choice(EDGES).to_bytes(4, "big")
            case 4:
                mutant[at:at] = mutant[at : at + dice.randrange(1, 40)]
    return bytes(mutant)


def pieces(dice: Random, data: bytes) -> Iterator[bytes]:
    """The same bytes, cut anywhere: whole, in a few reads, or one by one."""
    size = dice.choice((1, 3, 17, len(data) + 1))
    while data:
        cut = dice.randrange(1, size + 1)
        yield data[:cut]
        data = data[cut:]


def text(dice: Random, words: Iterable[str], most: int = 12) -> str:
    """Words and odd characters, strung together."""
    known = [*words, "\x00", "\n", "é", "\u202e", "\U0001f642", " ", "9" * 30, ""]
    return "".join(dice.choice(known) for _ in range(dice.randrange(most)))


def value(dice: Random, depth: int = 3) -> object:
    """Something MessagePack can hold."""
    kinds = 6 if depth == 0 else 8
    match dice.randrange(kinds):
        case 0:
            return None
        case 1:
            return dice.choice((True, False))
        case 2:
            return dice.choice((-1, 1)) * dice.choice(EDGES)
        case 3:
            return dice.choice((0.0, -1.5, 1e300, float("inf"), float("nan")))
        case 4:
            return text(dice, ("name", "topic", "after"), 4)
        case 5:
            return noise(dice, 12)
        case 6:
            return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
        case _:
            return {text(dice, ("name", "topic", "after"), 2): value(dice, depth - 1) for _ in range(dice.randrange(4))}

"""Any login message at any step: the next step or LoginFailed; nobody without the secret gets in."""

from random import Random

from fuzz.material import mutated, noise, text
from tieline.errors import LoginFailed
from tieline.login.scram import ServerSide, make_verifier

WORDS = (
    "n=",
    "r=",
    "c=",
    "p=",
    "a=",
    "m=",
    ",",
    ",,",
    "n,,",
    "y,,",
    "p=tls-server-end-point,,",
    "ada/laptop",
    "biws",
    "=2C",
)
BINDING = bytes(32)
VERIFIER = make_verifier("the key", 4096, bytes)


def once(dice: Random) -> None:
    server = ServerSide(dice.choice((None, BINDING)), lambda size: dice.randbytes(size))
    try:
        first = message(dice, b"n,,n=ada/laptop,r=abcdefghijklmnop")
        server.user(first)
        server.first(first, VERIFIER)
        server.final(message(dice, b"c=biws,r=abcdefghijklmnop,p=" + b"A" * 43 + b"="))
    except LoginFailed:
        return
    raise AssertionError("somebody got in")


def message(dice: Random, right: bytes) -> bytes:
    return dice.choice((right, mutated(dice, right), noise(dice), text(dice, WORDS).encode(errors="ignore")))

"""Any first bytes: somebody is calling; what could be the beginning of an HTTP request is never taken for a person."""

from random import Random

from fuzz.material import mutated, noise
from tieline.transports.caller import Caller, caller_of

OPENINGS = (b"\xf7tieline/1\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"ada\n", b"\r\n")
REQUESTS = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /rpc HTTP/1.1\r\n\r\n/say hi", b"options * HTTP/1.0\r\n")


def once(dice: Random) -> None:
    opening = mutated(dice, dice.choice(OPENINGS)) if dice.random() < 0.8 else noise(dice)
    assert isinstance(caller_of(opening), Caller)
    request = dice.choice(REQUESTS)
    begun = request[: dice.randrange(1, len(request))]
    if request[0:1].isupper():
        assert caller_of(begun) is Caller.HTTP
    assert caller_of(request) is Caller.HTTP

"""Any text: an address that is written and read back the same, or an AddressError."""

from random import Random

from fuzz.material import text
from tieline.errors import AddressError
from tieline.transports.address import SCHEMES, parse

WORDS = (
    *(f"{scheme}://" for scheme in SCHEMES),
    "unix:",
    "lab",
    ":7788",
    "[::1]",
    "%eth0",
    "/ada",
    "?pin=",
    "#s-1",
    "@",
    "*",
)


def once(dice: Random) -> None:
    try:
        address = parse(text(dice, (*WORDS, "0123456789abcdef" * 4)))
    except AddressError:
        return
    assert parse(str(address)) == address

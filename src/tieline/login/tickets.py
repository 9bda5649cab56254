"""The secret of a ticket, and the ticket as one string: `tieline://host:port/ada?pin=…#ID-SECRET`. Text only.

The secret goes behind the `#`, which no browser sends to any server.
"""

from base64 import b32encode
from collections.abc import Callable

from msgspec.structs import replace

from tieline.errors import LoginFailed
from tieline.transports.address import parse

ID_BYTES = 5
SECRET_BYTES = 20
"160 bits: nobody guesses one, so a ticket needs no more hashing than a key does."

TICKET = "ticket"
"What stands where the account would in the SCRAM user name of a ticket."


def new_secret(random: Callable[[int], bytes]) -> tuple[str, str]:
    """The id of a new ticket, and its secret text, which begins with the id. Only the holder keeps the latter."""
    id = _text(random(ID_BYTES))
    return id, f"{id}-{_text(random(SECRET_BYTES))}"


def id_of(secret: str) -> str:
    """The id a secret text begins with. Raises LoginFailed when this cannot be a ticket."""
    id, dash, rest = secret.partition("-")
    if not (dash and rest and id.isascii() and id.isalnum() and rest.isascii() and rest.isalnum()):
        raise LoginFailed("this is no ticket; was it copied whole, with all behind the '#'?")
    return id


def ticket_url(where: str, account: str, pin: str, secret: str) -> str:
    """The ticket to hand over. `where` is host:port; `pin` may be empty when the server has a public certificate."""
    return str(replace(parse(where), scheme="tieline", account=account, pin=pin, secret=secret))


def _text(data: bytes) -> str:
    # Base32 in lower case survives being read aloud, double-clicked and put in a URL.
    return b32encode(data).decode().rstrip("=").lower()

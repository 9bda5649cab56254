"""What may be the name of an account, a device or a room. One place, so that no door lets in what another refuses.

Names are shown on terminals, written into URLs, logs, file names and command lines: so letters and digits of any
script, and `.`, `_` and `-` between them. Rooms and accounts are lower case, or Ada and ada would be two people.
"""

import unicodedata

from tieline.errors import InvalidArgument, NotFound
from tieline.limits import DEFAULT

GUEST = "guest-"
"What a guest's name begins with, and no account's."
PASSWORD = "password"
"The device that is a password."

_RESERVED = ("ticket",)


class NoAccount(NotFound):
    """Nobody has this account, or it is revoked."""

    def __init__(self, name: str) -> None:
        see_or_make = "`tieline accounts` shows an admin who there is, `tieline invite` makes one"
        super().__init__(f"there is no account {name[:64]!r}; {see_or_make}")


def account_name(name: str) -> str:
    """`name` when it can be an account's. Raises InvalidArgument, whose sentence says what is wrong."""
    _check("account", name, lower=True)
    if name.startswith(GUEST) or name in _RESERVED:
        raise InvalidArgument(f"the account name {name!r} is reserved; choose another")
    return name


def device_name(name: str) -> str:
    """`name` when it can be a device's. Raises InvalidArgument."""
    return _check("device", name, lower=False)


def room_name(name: str) -> str:
    """`name` when it can be a room's. Raises InvalidArgument."""
    return _check("room", name, lower=True)


def as_said(room: str, me: str) -> str:
    """A room's name as `me` says it: `@ada` also for the full name of the direct messages of the two, `@ada+me`."""
    first, plus, second = room.removeprefix("@").partition("+")
    if not (room.startswith("@") and plus and me in (first, second)):
        return room
    return f"@{second if first == me else first}"


def _check(kind: str, name: str, *, lower: bool) -> str:
    fault = _fault(name, lower=lower)
    if fault is not None:
        raise InvalidArgument(f"the {kind} name {name[:40]!a} {fault}")
    return name


def _fault(name: str, *, lower: bool) -> str | None:
    if not name:
        return "is empty; choose one of letters, digits, '.', '_' and '-'"
    if len(name) > DEFAULT.name:
        return f"is {len(name)} characters long; the limit is {DEFAULT.name}"
    for character in name:
        if not (_is_letter(character) or character in "._-"):
            return f"holds {character!a}; use letters, digits, '.', '_' and '-'"
    # A leading '-' is an option to a command line; a leading or trailing '.' is a hidden file, or no file at all.
    if name[0] in "-." or name[-1] == "." or unicodedata.category(name[0])[0] == "M":
        return "must begin with a letter or digit and not end in '.'"
    # NFKC: what looks the same is the same, so that nobody is someone else's double by a ligature.
    if unicodedata.normalize("NFKC", name) != name:
        return "has more than one spelling in Unicode; type it plainly"
    if lower and name != name.lower():
        return f"must be lower case; try {name.lower()!a}"
    return None


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"

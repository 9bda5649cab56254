"""What an account or device may do, as a set of words. "files" stands for both its halves and is stored as them."""

from collections.abc import Iterable

from tieline.errors import InvalidArgument

SCOPES = frozenset({"chat", "files.read", "files.write", "shell", "admin"})
_SHORT = {"files": frozenset({"files.read", "files.write"})}


def scopes_of(words: Iterable[str]) -> frozenset[str]:
    """The scopes these words stand for. Raises InvalidArgument at a word that is none."""
    scopes: set[str] = set()
    for word in words:
        if word not in SCOPES and word not in _SHORT:
            known = ", ".join(sorted(SCOPES | _SHORT.keys()))
            raise InvalidArgument(f"{word[:40]!r} is nothing one can be allowed to do; the scopes are {known}")
        scopes |= _SHORT.get(word, {word})
    return frozenset(scopes)


def within(scopes: frozenset[str], limit: frozenset[str]) -> frozenset[str]:
    """What is left of `scopes` under `limit`; "admin" on either side covers everything."""
    if "admin" in limit:
        return scopes
    return limit if "admin" in scopes else scopes & limit

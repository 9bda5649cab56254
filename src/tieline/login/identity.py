"""Who is calling, once proven: the one object every scope check asks."""

from typing import Literal

import msgspec

Via = Literal["native", "lines", "http", "unix", "memory"]
"The way somebody came in."
TOKEN = "token"
"What stands before a token's name where an identity has its device."
ENROL = "enrol"
"The only scope of someone who came with a ticket: it opens one method, and none of those that need no scope."


class Identity(msgspec.Struct, frozen=True):
    """An account at one of its devices, and the way it came in."""

    account: str
    device: str
    scopes: frozenset[str]
    via: Via = "native"
    address: str = ""
    guest: bool = False

    def may(self, scope: str | None) -> bool:
        """True when this caller may do what needs `scope`; None needs a login and nothing more."""
        if ENROL in self.scopes:
            return scope == ENROL
        return scope is None or scope in self.scopes or "admin" in self.scopes

    def refusal(self, what: str, scope: str | None) -> str:
        """Why this caller may not do `what`, which needs `scope`, and what to do about it."""
        if ENROL in self.scopes:
            return f"{what} is not for tickets, which only enrol a device: `tieline join TICKET`, then come as that"
        if self.device.startswith(f"{TOKEN}/"):
            return (
                f"{what} needs the scope {scope!r}, which this token has not: `tieline token --can` makes one that has"
            )
        return f"{what} needs the scope {scope!r}; ask an admin of this server for it"

    def __str__(self) -> str:
        return f"{self.account}/{self.device}" if self.device else self.account

"""What machines offer to others: methods, by link, by device."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from tieline.errors import Denied, InvalidArgument, NotFound, Unavailable
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.login.names import PASSWORD
from tieline.login.scopes import SCOPES

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer

_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")


class Offer(msgspec.Struct, frozen=True):
    """One method that a machine offers, as its callers are told."""

    name: str
    signature: str = ""
    scope: str | None = None
    "What its callers need."
    about: str = ""
    streams: bool = False
    "True when it answers with a stream."


class Accepted(msgspec.Struct, frozen=True):
    """The answer to an offer."""

    name: str
    "What to put before `/method` to call it."
    changes: int
    "The number of the last change that the machine has been told of: to be said with its next link's offer."


class Offering:
    """What one link offers."""

    __slots__ = ("callers", "held", "instance", "methods", "open", "peer", "since")

    def __init__(self, peer: "Peer", methods: dict[str, Offer], instance: str, since: float) -> None:
        self.peer = peer
        self.methods = methods
        self.instance = instance
        self.since = since
        self.open = 0
        "Calls passed on and not over."
        self.held: dict[str, int] = {}
        "How many of them each account has; those that have none are not in it."
        self.callers: set[int] = set()
        "Who has called here and not left since, by number."

    def begin(self, account: str) -> None:
        """One more call is passed on."""
        self.open += 1
        self.held[account] = self.held.get(account, 0) + 1

    def end(self, account: str) -> None:
        self.open -= 1
        self.held[account] -= 1
        if not self.held[account]:
            del self.held[account]

    @property
    def leaving(self) -> bool:
        """True when this link takes no new calls."""
        link = self.peer.link
        return link is None or link.session.closing


class Machine:
    """One device that can be called."""

    __slots__ = ("account", "device", "name", "offerings", "standing")

    def __init__(self, who: Identity) -> None:
        self.account = who.account
        self.device = who.device
        self.name = f"{who.account}/{who.device}"
        self.standing = standing(who.scopes)
        self.offerings: list[Offering] = []
        "Oldest first."

    @property
    def since(self) -> float:
        """Unix seconds from which on it could be called."""
        return self.offerings[0].since

    def methods(self) -> list[Offer]:
        """All that can be called, by name."""
        offers = {name: offer for offering in self.offerings for name, offer in offering.methods.items()}
        return [offers[name] for name in sorted(offers)]

    def agents(self) -> "list[Peer]":
        """The links that offer commands or terminals."""
        return [each.peer for each in self.offerings if any(name.startswith("shell.") for name in each.methods)]

    def find(self, name: str) -> tuple[Offering, Offer]:
        """Raises NotFound, or Unavailable when its links are just ending."""
        closing = False
        for offering in reversed(self.offerings):
            if name in offering.methods:
                if not offering.leaving:
                    return offering, offering.methods[name]
                closing = True
        if closing:
            raise Unavailable(f"{self.name} is just leaving; try again in a moment")
        raise NotFound(f"{self.name} offers no method {name[:80]!r}; `tieline methods --on {self.name}` lists them")


def standing(scopes: Iterable[str]) -> int:
    """How much a machine is trusted: of those with the same name the one with the best standing has it."""
    return 2 if "admin" in scopes else 1 if "shell" in scopes else 0


def check(who: Identity, methods: list[Offer], limits: Limits) -> None:
    """Whether this may be offered by that one. Raises Denied, InvalidArgument."""
    if who.guest or who.device == PASSWORD:
        raise Denied("methods are offered by a device that joined, whose name tells it apart: `tieline join TICKET`")
    if len(methods) > limits.offered:
        raise InvalidArgument(f"{len(methods)} methods are more than one link may offer; the limit is {limits.offered}")
    for offer in methods:
        if len(offer.name) > limits.offered_name or not _NAME.fullmatch(offer.name):
            raise InvalidArgument(f"{offer.name[:80]!r} cannot be offered: a name is words joined by .")
        if offer.scope is not None and offer.scope not in SCOPES:
            known = ", ".join(sorted(SCOPES))
            raise InvalidArgument(f"{offer.name}: there is no scope {offer.scope[:40]!r}; the scopes are {known}")
        family = offer.name.partition(".")[0]
        for scope in (offer.scope, family if family in SCOPES else None):
            if not who.may(scope):
                # Who calls such a method trusts it with what is not for everybody's eyes, and believes its answer.
                raise Denied(f"{who} may not offer {offer.name}: it does not hold the scope {scope!r} itself")
        if max(len(offer.signature), len(offer.about)) > limits.offered_text:
            raise InvalidArgument(f"{offer.name}: its description is longer than {limits.offered_text} characters")

"""The methods server.*: what this server offers, how it is doing, who is here."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from tieline.rpc import openrpc
from tieline.rpc.handlers import Handlers
from tieline.rpc.link_facts import LinkFacts, facts
from tieline.rpc.links import Links
from tieline.rpc.peer import Peer
from tieline.version import __version__


class Status(msgspec.Struct, frozen=True):
    """The server and its links. `uptime` in seconds."""

    name: str
    version: str
    uptime: float
    links: list[LinkFacts]


class Present(msgspec.Struct, frozen=True):
    """Accounts that are here, by name."""

    accounts: list[str]


def install(handlers: Handlers, links: Links, name: str, clock: Callable[[], float] = time.monotonic) -> None:
    """For everybody who is logged in; only admins see the links of others."""
    began = clock()
    description: dict[int, dict[str, Any]] = {}  # by the number of methods there are

    @handlers.method("server.methods")
    def methods(compact: bool = False) -> dict[str, Any] | list[openrpc.Entry]:
        """Every method as an OpenRPC document; `compact`: as a list of names and signatures."""
        if compact:
            return openrpc.entries(handlers)
        if len(handlers) not in description:
            description.clear()
            description[len(handlers)] = openrpc.document(handlers, title=name, version=__version__)
        return description[len(handlers)]

    @handlers.method("server.status")
    def status(peer: Peer) -> Status:
        """The server's name, version and uptime, and the caller's links; for admins, all links."""
        account = None if peer.identity.may("admin") else peer.identity.account
        return Status(name, __version__, clock() - began, facts(links, account))

    @handlers.method("server.who")
    def who() -> Present:
        """The accounts that are logged in now."""
        return Present(links.accounts())

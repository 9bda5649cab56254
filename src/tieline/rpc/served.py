"""What one side offers to others through its server, and the calls of these methods as they come in."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from tieline.errors import ConfigError, NotFound, Overloaded
from tieline.rpc.handlers import Handler, Handlers
from tieline.rpc.offers import Accepted, Offer
from tieline.rpc.openrpc import entries
from tieline.rpc.relayed import Relayed
from tieline.rpc.switchboard import GONE, PASSED, REVOKED
from tieline.wire.messages import Call, Origin

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer
    from tieline.rpc.work import Work


Revoked = Callable[[str, str | None], None]
"revoked(account, device): the server has taken something away from an account, or from one device of it."


class Served:
    """The handlers that others may call at `peer`, and those who do."""

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._offered: list[Handlers] = []
        self._by_name: dict[str, Handler] = {}
        self._callers: dict[int, Relayed] = {}
        self._instance = secrets.token_hex(8)
        "Tells the server that a new link of ours takes the place of a lost one."
        self._notices = Handlers()
        self._notices.add(self._gone, GONE[1:])
        self._notices.add(self._revoked, REVOKED[1:])
        self._on_revoked: list[Revoked] = []
        self._changes: int | None = None  # the number of the last change that we know of

    async def add(self, handlers: Handlers, revoked: Revoked | None = None) -> str:
        """Offer these as well; by what name they can be called. Raises ConfigError for one that cannot be offered."""
        if all(handlers is not each for each in self._offered):
            self._check(handlers)
            self._offered.append(handlers)
        try:
            name = await self.offer()
        except BaseException:  # cancelled too: what the server was not told is not offered
            self._offered.remove(handlers)
            raise
        if revoked is not None:
            self._on_revoked.append(revoked)
        return name

    async def withdraw(self) -> None:
        """Offer nothing any more."""
        self._offered.clear()
        await self.offer()

    async def offer(self) -> str:
        """Tell the server, over the link there is now, what is offered."""
        self._by_name = {handler.name: handler for handlers in self._offered for handler in handlers}
        known = self._changes
        answer = await self._peer.call(
            "machines.offer",
            retry=True,
            returns=Accepted,
            methods=self._offers(),
            instance=self._instance,
            changes=known,
        )
        self._changes = max(answer.changes, self._changes or 0)
        self._peer.on_end(lambda _: self._link_lost())
        return answer.name

    def called(self, work: "Work", peer: "Peer", channel: int, call: Call) -> None:
        """A call came in that no handler for the server itself fits. Raises what its caller is to be told."""
        name = call.method[1:] if call.method.startswith(PASSED) else ""
        if call.origin is None:
            work.perform(channel, self._notices.find(name), call, peer)
            return
        handler = self._by_name.get(name)
        if handler is None:
            raise NotFound(f"no method {name[:80]!r} is offered here", {"method": name[:80]})
        if peer.link is not None and peer.link.stream.buffered() > peer.limits.relay_backlog:
            raise Overloaded(f"{name}: what this machine has answered waits to be sent; try again in a moment")
        work.perform(channel, handler, call, self._callers.get(call.origin.link) or self._caller(call.origin))

    # -- small things --------------------------------------------------------------------------------------------

    def _check(self, handlers: Handlers) -> None:
        for handler in handlers:
            if "/" in handler.name:
                raise ConfigError(handler.name, "a method that is offered to others has no / in its name")
            if any(handler.name in each for each in self._offered):
                raise ConfigError(handler.name, "this method is offered already; give one of the two another name")

    def _offers(self) -> list[Offer]:
        most = self._peer.limits.offered_text
        described = entries(handler for handlers in self._offered for handler in handlers)
        return [
            Offer(each.name, each.signature[:most], each.scope, each.about[:most], each.streams) for each in described
        ]

    def _caller(self, origin: Origin) -> Relayed:
        caller = self._callers[origin.link] = Relayed(self._peer.limits, origin)
        return caller

    def _gone(self, link: int) -> None:
        """The caller with this number has left the server."""
        caller = self._callers.pop(link, None)
        if caller is not None:
            caller.gone()

    def _revoked(self, account: str, device: str | None, number: int = 0) -> None:
        """An account, or one device of it, may do less than before. What comes while there is no link is told later."""
        self._changes = max(number, self._changes or 0)
        for action in self._on_revoked:
            action(account, device)

    def _link_lost(self) -> None:
        callers, self._callers = self._callers, {}
        for caller in callers.values():
            caller.gone()

"""Which machines can be called through this server, for what; and the calls of them, passed on.

A machine is a device of an account with at least one link that offers methods. What its links offer counts together;
of a method that several offer the newest has the say, and when that is gone, the one before it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tieline.errors import Conflict, Denied, LinkClosed, NotFound, Overloaded, Unavailable
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.rpc.half import End
from tieline.rpc.handlers import no_method
from tieline.rpc.offers import Machine, Offer, Offering, check, standing
from tieline.rpc.relay import Relay
from tieline.wire.messages import Call, Origin, encode

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer
    from tieline.rpc.work import Work

PASSED = "/"
"What stands before the name in a call that is passed on: no handler for the server's own calls can have such a name."
GONE = "/gone"
"What a server calls at a machine, without an origin, when a caller's link is gone."
REVOKED = "/revoked"
"The same when an account, or one device of it, may do less than before: what it started is to end."
Route = tuple[Machine, Offering, Offer]


class Switchboard:
    """One for each server."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.permit: Callable[[Identity, str, str], None] | None = None
        "permit(caller, ACCOUNT/DEVICE, method): raises Denied where more is asked than the scope."
        self.on_left: Callable[[str, str], None] | None = None
        "on_left(account, device): the last link of a machine is gone."
        self._limits = limits
        self._machines: dict[tuple[str, str], Machine] = {}
        self._standing: dict[str, dict[str, int]] = {}  # by device name and account; those that are away as well
        self._routes: dict[tuple[str, str], Route] = {}  # by caller's account and method, until a machine comes or goes
        self._callers: dict[Peer, _Caller] = {}
        self._numbers = count(1)

    def remember(self, machines: Iterable[tuple[str, str, Iterable[str]]]) -> None:
        """Account, device and scopes of all there have been: a name that is somebody's goes to nobody of no better
        standing while he is away."""
        self._routes.clear()
        self._standing = {}
        for account, device, scopes in machines:
            self._standing.setdefault(device, {})[account] = standing(scopes)
        for machine in self._machines.values():
            self._standing.setdefault(machine.device, {})[machine.account] = machine.standing

    def offer(self, peer: "Peer", methods: list[Offer], instance: str = "") -> Machine:
        """This link offers just these from now on. A link of the same device and instance before it is dead."""
        who = peer.identity
        check(who, methods, self._limits)
        self._routes.clear()
        machine = self._machines.get((who.account, who.device))
        if machine is None:
            if len(self._machines) >= self._limits.machines:
                raise Overloaded(f"{len(self._machines)} machines offer methods already; some must leave first")
            machine = self._machines[who.account, who.device] = Machine(who)
            self._standing.setdefault(who.device, {})[who.account] = machine.standing
        for offering in list(machine.offerings):
            if offering.peer is peer:
                offering.methods = {offer.name: offer for offer in methods}
                return machine
        if len(machine.offerings) >= self._limits.offering_links:
            raise Overloaded(f"{len(machine.offerings)} links of {machine.name} offer methods; end one of them first")
        machine.offerings.append(Offering(peer, {offer.name: offer for offer in methods}, instance, time.time()))
        if peer.link is not None:
            peer.link.watch_closely(self._limits.machine_ping)
        peer.on_end(self._leave)
        for offering in machine.offerings[:-1]:
            if instance and offering.instance == instance and offering.peer.link is not None:
                offering.peer.link.abort(LinkClosed("this program has come back over a new link"))
        return machine

    def machine(self, target: str, caller: str = "") -> Machine:
        """The one meant by `DEVICE` or `ACCOUNT/DEVICE` when the account `caller` says so. Raises NotFound, Unavailable
        or Conflict."""
        account, slash, device = target.rpartition("/")
        accounts = {account} & self._standing.get(device, {}).keys() if slash else self._meant(device, caller)
        if len(accounts) > 1:
            names = " or ".join(f"{each}/{device}" for each in sorted(accounts)[:10])
            raise Conflict(f"there are {len(accounts)} machines called {device!r}: say {names}")
        for each in accounts:
            if (machine := self._machines.get((each, device))) is not None:
                return machine
            raise Unavailable(f"the machine {target!r} is not here now; `tieline machines` says since when")
        sentence = f"no machine {target[:130]!r} here; `tieline machines` lists them"
        raise NotFound(sentence, {"machine": target[:130]})

    def _meant(self, device: str, caller: str) -> set[str]:
        """Whose machine a device's name alone means: the caller's own, else that of the best standing."""
        known = self._standing.get(device, {})
        if caller in known:
            return {caller}
        best = max(known.values(), default=0)
        return {account for account, rank in known.items() if rank == best}

    def revoked(self, account: str, device: str | None, number: int = 0) -> None:
        """An account, or one of its devices, may do less than before. Every machine is told: what somebody started
        there may have outlived his link. `number` is that of the change."""
        for machine in self._machines.values():
            for offering in machine.offerings:
                offering.peer.tell(REVOKED, account=account, device=device, number=number)

    def target(self, account: str, device: str, caller: str = "") -> str:
        """The shortest name by which `caller` means this machine and no other."""
        return device if self._meant(device, caller) <= {account} else f"{account}/{device}"

    def offers(self, peer: "Peer") -> bool:
        """Whether this link offers methods."""
        machine = self._machines.get((peer.identity.account, peer.identity.device))
        return machine is not None and any(offering.peer is peer for offering in machine.offerings)

    def __iter__(self) -> Iterator[Machine]:
        return iter(sorted(self._machines.values(), key=lambda machine: machine.name))

    # -- calls ---------------------------------------------------------------------------------------------------

    def called(self, work: "Work", peer: "Peer", channel: int, call: Call) -> None:
        """A call that no handler of the server's fits. Raises what the caller is to be told."""
        target, _, name = call.method.rpartition("/")
        if not target or not peer.identity.may(None):
            raise no_method(call.method)
        if call.origin is not None:
            raise Denied("only a server says for whom a call is passed on, and it knows who you are")
        key = (peer.identity.account, call.method)
        route = self._routes.get(key)
        if route is None or route[1].leaving:
            route = self._route(key, target, name)
        machine, offering, offer = route
        if self.permit is not None:
            self.permit(peer.identity, machine.name, name)
        work.pass_on(channel, call, offer.scope, lambda: self._begin(work, peer, channel, call, offering, name))

    def _route(self, key: tuple[str, str], target: str, name: str) -> Route:
        machine = self.machine(target, key[0])
        route = machine, *machine.find(name)
        if len(self._routes) >= self._limits.routes:
            self._routes.clear()
        self._routes[key] = route
        return route

    def _begin(self, work: "Work", peer: "Peer", channel: int, call: Call, offering: Offering, name: str) -> Relay:
        near, far = peer.link, offering.peer.link
        if near is None or far is None or far.session.closing:
            raise Unavailable(f"{call.method}: that machine is just leaving; try again in a moment")
        account, limits = peer.identity.account, self._limits
        if offering.open >= limits.calls or far.stream.buffered() > limits.relay_backlog:
            raise Overloaded(f"{call.method}: that machine has all it can take for now; try again in a moment")
        if offering.held.get(account, 0) * 2 >= limits.calls:
            raise Overloaded(f"{call.method}: {account} has half of all calls that machine can take; finish some first")
        if near.stream.paused and near.stream.buffered() > limits.relay_backlog:
            raise Overloaded(f"{call.method}: read first what you were answered")
        caller = self._callers.get(peer) or self._caller(peer)
        offering.callers.add(caller.number)
        payload = encode((PASSED + name, call.params, call.timeout, call.streaming, caller.origin))
        ends = End(peer, near, channel), End(offering.peer, far, far.session.call(payload, streaming=call.streaming))
        offering.begin(account)
        if offering.open == 1:
            far.flush()  # as with a single call: there is nothing for it to wait for
        else:
            far.flush_soon()

        def ended() -> None:
            offering.end(account)
            work.passed(channel)

        return Relay(work, *ends, call.method, limits.window, call.streaming, ended)

    # -- who is here ---------------------------------------------------------------------------------------------

    def _leave(self, peer: "Peer") -> None:
        key = (peer.identity.account, peer.identity.device)
        machine = self._machines.get(key)
        if machine is None:
            return
        self._routes.clear()
        machine.offerings = [offering for offering in machine.offerings if offering.peer is not peer]
        if not machine.offerings:
            del self._machines[key]
            if self.on_left is not None:
                self.on_left(*key)

    def _caller(self, peer: "Peer") -> "_Caller":
        who, number = peer.identity, next(self._numbers)
        scopes = tuple(sorted(who.scopes))
        origin = encode(Origin(number, who.account, who.device, scopes, who.via, who.guest))
        caller = self._callers[peer] = _Caller(number, msgspec.Raw(origin))
        if peer.link is not None:
            peer.link.watch_closely(self._limits.machine_ping)
        peer.on_end(self._caller_left)
        return caller

    def _caller_left(self, peer: "Peer") -> None:
        number = self._callers.pop(peer).number
        for machine in self._machines.values():
            for offering in machine.offerings:
                if number in offering.callers:
                    offering.callers.discard(number)
                    offering.peer.tell(GONE, link=number)


class _Caller(NamedTuple):
    """One link that has called machines: its number, and what they are told of it."""

    number: int
    origin: msgspec.Raw

"""The methods machines.*: a machine offers what others may call there; who can be called, for what, since when.

How a call then gets to the machine is the switchboard's business (rpc). Here its coming and going is kept.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection

import msgspec

from tieline.errors import TielineError
from tieline.limits import DEFAULT, Limits
from tieline.rpc.handlers import Handlers
from tieline.rpc.offers import Accepted, Machine, Offer
from tieline.rpc.peer import Peer
from tieline.rpc.switchboard import REVOKED, Switchboard
from tieline.store.machines import Change, MachineStore

log = logging.getLogger("tieline.machines")
Left = tuple[tuple[str, str], int]
"Which machine left, and when."


class ListedMachine(msgspec.Struct, frozen=True):
    """A machine that can be called, or could be; times in unix milliseconds."""

    target: str
    "What to put before `/method` to call it."
    account: str
    device: str
    here: bool
    since: int | None
    "From when on it could be called; None while it is away."
    seen: int
    "When it was last here."
    methods: list[str]
    "What can be called there; `machines.methods` says more."


class Machines:
    """Keeps what the store is told in step with the switchboard."""

    def __init__(self, switchboard: Switchboard, store: MachineStore, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._switchboard = switchboard
        self._store = store
        self._writing: dict[asyncio.Future[None], Left | None] = {}
        self._changes: dict[tuple[str, str | None], int] = {}  # the number of the last one of each
        self._reading: asyncio.Task[None] | None = None
        switchboard.on_left = self._left
        self.on_new_agent: Callable[[str], None] | None = None
        "on_new_agent(ACCOUNT/DEVICE): a program that was not here before, and no other there, offers shell.*"

    async def start(self) -> None:
        """Read which machines there are."""
        if not self._changes:
            self._changes = {(each.account, each.device): each.number for each in await self._store.changes()}
        seen = await self._store.machines_seen()
        self._switchboard.remember((each.account, each.device, each.scopes) for each in seen)

    def revised(self, account: str, device: str | None) -> None:
        """Something was taken away from an account or a device, which may be no more: machines are told, those that
        are away when they come back."""
        number = max(self._changes.values(), default=0) + 1
        self._changes[account, device] = number
        self._keep(None, lambda: self._store.change(Change(number, account, device)))
        self._switchboard.revoked(account, device, number)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self.start())

    async def close(self) -> None:
        """Wait for what is being read or written."""
        waiting: set[asyncio.Future[None]] = {*self._writing, *({self._reading} if self._reading else ())}
        await asyncio.gather(*waiting, return_exceptions=True)

    async def offer(self, methods: list[Offer], peer: Peer, instance: str = "", changes: int | None = None) -> Accepted:
        """Let others call these methods at the caller, over this link, and no others. `instance` tells the links of one
        program from another's: a newer one takes the older one's place. `changes` is what the last answer said: the
        program is told what was taken away from whom since."""
        machine = self._switchboard.offer(peer, methods, instance[:64])
        if changes is None and machine.agents() == [peer] and self.on_new_agent is not None:
            self.on_new_agent(machine.name)
        known = sorted((number, *who) for who, number in self._changes.items())
        for number, account, device in known if changes is not None else ():
            if number > (changes or 0):
                peer.tell(REVOKED, account=account, device=device, number=number)
        await self._store.machine_seen(machine.account, machine.device, _now())
        return Accepted(self._switchboard.target(machine.account, machine.device), known[-1][0] if known else 0)

    async def away(self, names: Collection[str]) -> dict[str, int]:
        """Of these (ACCOUNT/DEVICE) those that run commands for nobody now, and when each was last here; 0 where that
        is forgotten."""
        here = {machine.name for machine in self._switchboard if machine.agents()}
        if here.issuperset(names):
            return {}
        last = {f"{each.account}/{each.device}": each.at for each in await self._store.machines_seen()}
        last |= self._leaving()
        return {name: last.get(name, 0) for name in names if name not in here}

    async def list_(self, peer: Peer, after: str = "") -> list[ListedMachine]:
        """Machines that can be called, and those that could be before, by account and device. As many as fit an answer:
        the next are those `after` the last of these (`account/device`), and after the last of all there are none."""
        seen = {f"{each.account}/{each.device}": each for each in await self._store.machines_seen()}
        left = self._leaving()
        caller = peer.identity.account
        here = {machine.name: machine for machine in self._switchboard if machine.methods()}
        page: list[ListedMachine] = []
        size = 0
        for name in sorted(name for name in {*seen, *here} if name > after):
            if name in here:
                page.append(self._here(here[name], caller))
            else:
                account, device, at = seen[name].account, seen[name].device, left.get(name, seen[name].at)
                target = self._switchboard.target(account, device, caller)
                page.append(ListedMachine(target, account, device, False, None, at, []))
            size += 256 + sum(len(method) + 2 for method in page[-1].methods)
            if size > self._limits.page_bytes:
                break
        return page

    def _here(self, machine: Machine, caller: str) -> ListedMachine:
        target = self._switchboard.target(machine.account, machine.device, caller)
        names = [offer.name for offer in machine.methods()]
        since = int(machine.since * 1000)
        return ListedMachine(target, machine.account, machine.device, True, since, _now(), names)

    async def methods(self, machine: str, peer: Peer) -> list[Offer]:
        """What one machine offers, by name."""
        return self._switchboard.machine(machine, peer.identity.account).methods()

    def _leaving(self) -> dict[str, int]:
        """Who left just now, and when: not written yet."""
        return {"/".join(left[0]): left[1] for left in self._writing.values() if left is not None}

    def _left(self, account: str, device: str) -> None:
        at = _now()
        self._keep(((account, device), at), lambda: self._store.machine_seen(account, device, at))

    def _keep(self, left: Left | None, write: Callable[[], "asyncio.Future[None]"]) -> None:
        try:
            writing = write()
        except TielineError as error:  # the store is closed already
            log.debug("something of a machine is not kept: %s", error)
            return
        self._writing[writing] = left
        writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        del self._writing[writing]
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.warning("something of a machine could not be kept: %s", error)


def install(handlers: Handlers, machines: Machines) -> None:
    """For everybody who is logged in; guests may offer nothing."""
    handlers.add(machines.offer, "machines.offer")
    handlers.add(machines.list_, "machines.list")
    handlers.add(machines.methods, "machines.methods")


def _now() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1000)

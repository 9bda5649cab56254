"""The methods machines.*: a machine offers what others may call there; who can be called, for what, since when.

How a call then gets to the machine is the switchboard's business (rpc). Here its coming and going is kept.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from tieline.errors import TielineError
from tieline.limits import DEFAULT, Limits
from tieline.rpc.handlers import Handlers
from tieline.rpc.offers import Machine, Offer
from tieline.rpc.peer import Peer
from tieline.rpc.switchboard import Switchboard
from tieline.store.machines import MachineStore

log = logging.getLogger("tieline.machines")


class Listed(msgspec.Struct, frozen=True):
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

    def __init__(
        self,
        switchboard: Switchboard,
        store: MachineStore,
        limits: Limits = DEFAULT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._switchboard = switchboard
        self._store = store
        self._clock = clock
        self._writing: dict[asyncio.Future[None], tuple[tuple[str, str], int]] = {}  # who left, and when
        self._reading: asyncio.Task[None] | None = None
        switchboard.on_left = self._left

    async def start(self) -> None:
        """Read which machines there are."""
        self._switchboard.remember((seen.account, seen.device) for seen in await self._store.machines_seen())

    def revised(self) -> None:
        """An account or a device may be no more."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self.start())

    async def close(self) -> None:
        """Wait for what is being read or written."""
        waiting: set[asyncio.Future[None]] = {*self._writing, *({self._reading} if self._reading else ())}
        await asyncio.gather(*waiting, return_exceptions=True)

    async def offer(self, methods: list[Offer], peer: Peer, instance: str = "") -> str:
        """Let others call these methods at the caller, over this link, and no others. Answers with the name to call
        them by. `instance` tells the links of one program from another's: a newer one takes the older one's place."""
        machine = self._switchboard.offer(peer, methods, instance[:64])
        await self._store.machine_seen(machine.account, machine.device, self._now())
        return self._switchboard.target(machine.account, machine.device)

    async def list_(self, after: str = "") -> list[Listed]:
        """Machines that can be called, and those that could be before, by account and device. As many as fit an answer:
        the next are those `after` the last of these (`account/device`), and after the last of all there are none."""
        seen = {f"{each.account}/{each.device}": each for each in await self._store.machines_seen()}
        left = {"/".join(key): at for key, at in self._writing.values()}
        here = {machine.name: machine for machine in self._switchboard if machine.methods()}
        page: list[Listed] = []
        size = 0
        for name in sorted(name for name in {*seen, *here} if name > after):
            if name in here:
                page.append(self._here(here[name]))
            else:
                account, device, at = seen[name].account, seen[name].device, left.get(name, seen[name].at)
                page.append(Listed(self._switchboard.target(account, device), account, device, False, None, at, []))
            size += 256 + sum(len(method) + 2 for method in page[-1].methods)
            if size > self._limits.page_bytes:
                break
        return page

    def _here(self, machine: Machine) -> Listed:
        target = self._switchboard.target(machine.account, machine.device)
        names = [offer.name for offer in machine.methods()]
        since = int(machine.since * 1000)
        return Listed(target, machine.account, machine.device, True, since, self._now(), names)

    async def methods(self, machine: str) -> list[Offer]:
        """What one machine offers, by name."""
        return self._switchboard.machine(machine).methods()

    def _left(self, account: str, device: str) -> None:
        at = self._now()
        try:
            writing = self._store.machine_seen(account, device, at)
        except TielineError as error:  # the store is closed already
            log.debug("when %s/%s left is not kept: %s", account, device, error)
            return
        self._writing[writing] = (account, device), at
        writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        del self._writing[writing]
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.warning("when a machine left could not be kept: %s", error)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def install(handlers: Handlers, machines: Machines) -> None:
    """For everybody who is logged in; guests may offer nothing."""
    handlers.add(machines.offer, "machines.offer")
    handlers.add(machines.list_, "machines.list")
    handlers.add(machines.methods, "machines.methods")

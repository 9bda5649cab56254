"""The methods machines.*: a machine offers what others may call there; who can be called, for what, since when.

How a call then gets to the machine is the switchboard's business (rpc). Here its coming and going is kept.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from tieline.errors import TielineError
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.rpc.switchboard import Offer, Switchboard
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
    methods: list[Offer]


class Machines:
    """Keeps what the store is told in step with the switchboard."""

    def __init__(self, switchboard: Switchboard, store: MachineStore, clock: Callable[[], float] = time.time) -> None:
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

    async def list_(self) -> list[Listed]:
        """Machines that can be called, and those that could be before, by name."""
        seen = {(each.account, each.device): each.at for each in await self._store.machines_seen()}
        seen |= {key: at for key, at in self._writing.values() if key in seen}
        now, target = self._now(), self._switchboard.target
        here = {
            (each.account, each.device): Listed(
                target(each.account, each.device),
                each.account,
                each.device,
                True,
                int(each.since * 1000),
                now,
                each.methods(),
            )
            for each in self._switchboard
            if each.methods()
        }
        away = {key: Listed(target(*key), *key, False, None, at, []) for key, at in seen.items() if key not in here}
        return [entry for _, entry in sorted({**here, **away}.items())]

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

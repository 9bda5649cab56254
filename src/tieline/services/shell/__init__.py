"""Commands and terminals: run anything here, and get exactly what it said. Needs the scope `shell`.

    async with shell.serving(handlers, limits, rules=…, audit=…) as service: ...

Everything runs as the system user that this program runs as.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tieline.limits import Limits
from tieline.processes.spawner import Spawner
from tieline.rpc.handlers import Handlers
from tieline.services.shell.commands import Commands
from tieline.services.shell.house import House
from tieline.services.shell.records import Audit, Rules
from tieline.services.shell.sessions import Sessions
from tieline.store.shell import OWN

__all__ = ["Shell", "serving"]


class Shell:
    """What a machine runs for others."""

    def __init__(self, house: House) -> None:
        self._house = house

    def end(self, account: str, device: str | None = None) -> None:
        """An account, or one device of it, may not do this any more: all it has here is gone within a second."""
        self._house.end(account, device)


@asynccontextmanager
async def serving(
    handlers: Handlers,
    limits: Limits,
    *,
    rules: Rules,
    audit: Audit,
    name: str = OWN,
    runs: bool = True,
    sessions: bool = True,
    recordings: Path | None = None,
) -> AsyncIterator[Shell]:
    """Offer shell.* among these handlers. Leaving ends all that runs, and waits for it.

    `name` is what rules call this machine. Without `runs` or without `sessions` there are no such methods.
    `recordings` is the folder for sessions that are recorded.
    """
    house = House(limits, rules, audit, name)
    async with AsyncExitStack() as stack:
        spawner = await stack.enter_async_context(Spawner())
        if runs:
            commands = Commands(house, spawner)
            stack.callback(commands.tidy)
            commands.install(handlers)
        if sessions:
            terminals = Sessions(house, spawner, recordings)
            stack.push_async_callback(terminals.close)
            stack.push_async_callback(spawner.end_all)
            terminals.install(handlers)
        yield Shell(house)

"""What is kept of commands: who ran which, how it ended, and who may run what. Frozen structs and one Protocol.

Times are unix milliseconds.
"""

import asyncio
from fnmatch import fnmatchcase
from typing import Annotated, Protocol

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"A time, size or number that others tell: as large as every database and every JSON can hold."
OWN = "server"
"What rules call the machine of the server itself, and no other, whatever that calls itself."


class Rule(msgspec.Struct, frozen=True):
    """What the scope `shell` is narrowed to for one account; None is no narrowing."""

    targets: tuple[str, ...] | None = None
    "Machines, by name or pattern; the server's own is `server`."
    commands: tuple[str, ...] | None = None
    "Programs, by name or path, with whatever arguments. No sessions and no shell then, unless it is one of these."

    def covers(self, target: str) -> bool:
        """Whether it lets one run anything on this machine, called by its full name or by its device's alone."""
        if self.targets is None or (OWN in self.targets and target == OWN):
            return True
        names = (target, target.rpartition("/")[2])
        return any(fnmatchcase(name, each) for each in self.targets if each != OWN for name in names)


class Begun(msgspec.Struct, frozen=True):
    """A command or session was started: who, where, what, when. Neither its environment nor its input."""

    id: str
    account: str
    device: str
    address: str
    target: str
    "Empty for the server's own machine."
    kind: str
    "run or session"
    argv: list[str]
    folder: str
    at: Count


class CommandEntry(msgspec.Struct, frozen=True):
    """One line of the audit."""

    number: int
    begun: Begun
    ended: int | None = None
    outcome: str = ""
    "How it ended: `exit 0`, `SIGTERM`, `given up: …`; empty while that is not known."
    out: int = 0
    "Bytes of output."
    heard: int | None = None
    """When its machine was last heard of, if that is away and no end is known: it may run still or not. Not kept, but
    found out for whoever asks, so that what the machine tells when it is back is what holds."""


class ShellStore(Protocol):
    """What is written is on its way to the disk when a method returns; its future may fail with Unavailable."""

    def command_begun(self, begun: Begun, keep: int) -> asyncio.Future[None]:
        """Write it down, once; of each machine the oldest go when it has more than about `keep`."""

    def command_ended(self, id: str, target: str, at: int, outcome: str, out: int) -> asyncio.Future[None]:
        """How it ended, if that is not known yet."""

    def commands_lost(self, at: int, target: str = "") -> asyncio.Future[None]:
        """Those of a machine, or the server's own, whose end was never told: the agent, or the server, was killed."""

    async def commands(self, *, account: str | None, before: int | None, limit: int) -> list[CommandEntry]:
        """The newest first; `before`: only those with a smaller number."""

    async def rules(self) -> dict[str, Rule]:
        """By account; who is not here is narrowed to nothing."""

    async def set_rule(self, account: str, rule: Rule) -> None:
        """The next start knows it too."""

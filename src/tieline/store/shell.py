"""What is known of commands, who may run which, and what the service needs from those who keep that. Frozen structs
and Protocols; no behaviour. Times are unix milliseconds."""

from typing import Protocol

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """What the scope `shell` is narrowed to for one account; None is no narrowing."""

    targets: tuple[str, ...] | None = None
    "Machines, by name or pattern; the server's own is `server`."
    commands: tuple[str, ...] | None = None
    "Programs, by name or path, with whatever arguments. No sessions and no shell then, unless it is one of these."


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
    at: int


class Entry(msgspec.Struct, frozen=True):
    """One line of the audit."""

    number: int
    begun: Begun
    ended: int | None = None
    outcome: str = ""
    "How it ended: `exit 0`, `SIGTERM`, `given up: …`; empty while it runs."
    out: int = 0
    "Bytes of output."


class Audit(Protocol):
    """Is told of every command. Returns at once: writing it down is on its way when the command starts."""

    def begun(self, begun: Begun) -> None: ...

    def ended(self, id: str, at: int, outcome: str, out: int) -> None: ...


class Rules(Protocol):
    """Knows the rules by heart: asking costs nothing."""

    def rule(self, account: str) -> Rule: ...


class NoRules:
    """Whoever holds the scope may run anything; for machines where the server has judged already."""

    def rule(self, account: str) -> Rule:
        return Rule()


class NoAudit:
    """Nothing is written down, for somebody else does."""

    def begun(self, begun: Begun) -> None:
        pass

    def ended(self, id: str, at: int, outcome: str, out: int) -> None:
        pass

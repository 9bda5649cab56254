"""What the service needs from those who keep the rules and the audit."""

from typing import Protocol

from tieline.store.shell import Begun, Rule


class Audit(Protocol):
    """Is told of every command, before it starts. Returns at once."""

    def begun(self, begun: Begun) -> None: ...

    def ended(self, id: str, at: int, outcome: str, out: int) -> None: ...


class Rules(Protocol):
    """Knows what the scope `shell` is narrowed to for an account."""

    async def rule(self, account: str) -> Rule: ...

    def forget(self, account: str) -> None:
        """What was known of it may not hold any more."""

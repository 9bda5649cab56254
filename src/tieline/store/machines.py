"""What is kept of the machines that can be called: when each was last here. An interface only."""

import asyncio
from typing import Protocol

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """A device that has offered methods, and when it was last here (unix milliseconds)."""

    account: str
    device: str
    at: int
    scopes: frozenset[str] = frozenset()
    "What it may do."


class Change(msgspec.Struct, frozen=True):
    """Something was taken away from an account, or from one of its devices. Later changes have larger numbers."""

    number: int
    account: str
    device: str | None


class MachineStore(Protocol):
    """Written when a machine comes and when it goes, and not in between."""

    def machine_seen(self, account: str, device: str, at: int) -> "asyncio.Future[None]":
        """Keep the time; those of devices that are no more are forgotten. It is done even if nobody waits for it."""

    async def machines_seen(self) -> list[Seen]:
        """Those whose account and device are still there, by name."""

    def change(self, change: Change) -> "asyncio.Future[None]":
        """Keep it in place of an earlier one of the same account and device. It is done even if nobody waits for it."""

    async def changes(self) -> list[Change]:
        """All that are kept, by number."""

"""What is kept of the machines that can be called: when each was last here. An interface only."""

import asyncio
from typing import Protocol

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """A device that has offered methods, and when it was last here (unix milliseconds)."""

    account: str
    device: str
    at: int


class MachineStore(Protocol):
    """Written when a machine comes and when it goes, and not in between."""

    def machine_seen(self, account: str, device: str, at: int) -> "asyncio.Future[None]":
        """Keep the time; those of devices that are no more are forgotten. It is done even if nobody waits for it."""

    async def machines_seen(self) -> list[Seen]:
        """Those whose account and device are still there, by name."""

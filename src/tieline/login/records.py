"""What login keeps, and what it needs from whoever keeps it. Frozen structs and one Protocol; no behaviour.

Nothing secret is stored: a verifier proves a secret without containing it. It still is not for the eyes, so its repr is
closed. Times are unix milliseconds.
"""

from enum import Enum
from typing import Protocol

import msgspec


class Verifier(msgspec.Struct, frozen=True, array_like=True):
    """What SCRAM stores instead of a secret (RFC 5802, 3): enough to check a proof, not enough to make one."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int

    def __repr__(self) -> str:
        return f"<Verifier {self.iterations} rounds>"


class Account(msgspec.Struct, frozen=True):
    """A person or program. `scopes` is the most any of its devices may do."""

    name: str
    scopes: frozenset[str]
    created: int
    revoked: int | None = None


class Device(msgspec.Struct, frozen=True):
    """One credential of an account; a password is the device named "password". It may do what both it and its
    account may do."""

    account: str
    name: str
    scopes: frozenset[str]
    verifier: Verifier
    created: int


class Ticket(msgspec.Struct, frozen=True):
    """An open invitation: good for one enrolment before `expires`."""

    id: str
    account: str
    scopes: frozenset[str]
    verifier: Verifier
    created: int
    expires: int


class Enrolment(Enum):
    """How an enrolment ended."""

    DONE = "done"
    TICKET_GONE = "ticket gone"
    NAME_TAKEN = "name taken"


class AccountStore(Protocol):
    """Each method is one transaction: it happens wholly or not at all, and is durable when it returns."""

    async def account(self, name: str) -> Account | None:
        """The account, revoked ones too."""

    async def accounts(self) -> list[Account]:
        """All accounts, revoked ones too, oldest first (by `created`, then name)."""

    async def listing(self) -> list[tuple[Account, list[Device], list[Ticket]]]:
        """All accounts as `accounts()` gives them, each with its devices by name and its tickets, oldest first."""

    async def put_account(self, account: Account) -> None:
        """Add the account, or replace what is stored under its name; its devices and tickets stay."""

    async def revoke_account(self, name: str, at: int) -> bool:
        """Set `revoked`, delete its devices, tickets and tokens. False when there is none, or it is revoked already."""

    async def device(self, account: str, name: str) -> Device | None: ...

    async def devices(self, account: str) -> list[Device]:
        """The account's devices by name."""

    async def put_device(self, device: Device) -> bool:
        """Add or replace; tokens that one of its name made are deleted. False, and nothing done, when the account is
        not there or revoked."""

    async def revoke_device(self, account: str, name: str) -> bool:
        """Delete it, and the tokens it made. False when there was none."""

    async def add_ticket(self, ticket: Ticket) -> bool:
        """False, and nothing done, when the account is not there or revoked. Tickets that expired before
        `ticket.created` may be deleted on the way."""

    async def ticket(self, id: str) -> Ticket | None:
        """The ticket when not used up yet; expired ones may still be there."""

    async def tickets(self, account: str) -> list[Ticket]:
        """The account's open tickets, oldest first."""

    async def revoke_ticket(self, id: str) -> bool:
        """Delete it. False when there was none."""

    async def enrol(self, ticket: str, device: Device, now: int) -> Enrolment:
        """Use the ticket up and add the device, both or neither; of two that race exactly one is DONE.

        TICKET_GONE: no such ticket, `expires <= now`, of another account than `device.account`, or its account
        is revoked. NAME_TAKEN: the account has a device of this name; the ticket stays good.
        """

    async def keep(self, name: str, value: bytes) -> bytes:
        """A secret of the server itself: the bytes kept under `name`; `value` is kept when there were none."""

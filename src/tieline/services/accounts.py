"""The methods accounts.*: who am I, come in, set a password, revoke; for admins also invite, list, allow.

Secrets are made by the caller: what travels is a verifier. Whatever takes something away also ends the live links
that have it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from tieline.errors import Denied, InvalidArgument
from tieline.limits import DEFAULT, Limits
from tieline.login.accounts import LIFETIME, Accounts
from tieline.login.identity import ENROL, Identity
from tieline.login.names import PASSWORD
from tieline.login.records import Account, Device, Ticket, Verifier
from tieline.login.tickets import TICKET
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.wire.messages import encode

log = logging.getLogger("tieline.accounts")
Cut = Callable[[str, str | None], int]
"Ends the live links of an account, or of one of its devices, and says how many those were."

ANSWERED = 0.1
"Seconds waited before links are ended of which the caller's may be one, so that it still gets its answer."


class Invite(Protocol):
    """Makes the ticket: only the server knows by what name it is reached."""

    async def __call__(self, account: str, *, can: list[str] | None, expires: float) -> str: ...


class Self(msgspec.Struct, frozen=True):
    """Who the server takes its caller for."""

    account: str
    device: str
    scopes: list[str]
    via: str
    guest: bool


class Enrolled(msgspec.Struct, frozen=True):
    """A new device."""

    account: str
    device: str
    scopes: list[str]


class ListedDevice(msgspec.Struct, frozen=True):
    """A device as an admin sees it; `created` in unix milliseconds."""

    name: str
    scopes: list[str]
    created: int


class ListedTicket(msgspec.Struct, frozen=True):
    """An open invitation: its id, not its secret. `expires` in unix milliseconds."""

    id: str
    scopes: list[str]
    expires: int


class ListedAccount(msgspec.Struct, frozen=True):
    """An account as an admin sees it; times in unix milliseconds."""

    account: str
    scopes: list[str]
    created: int
    revoked: int | None
    devices: list[ListedDevice]
    tickets: list[ListedTicket]


def install(handlers: Handlers, accounts: Accounts, cut: Cut, invite: Invite, limits: Limits = DEFAULT) -> None:
    """Register accounts.* for everybody, for ticket holders and for admins."""
    _for_everybody(handlers, accounts, cut)
    _for_admins(handlers, accounts, cut, invite, limits)


def _for_everybody(handlers: Handlers, accounts: Accounts, cut: Cut) -> None:
    @handlers.method("accounts.whoami")
    def whoami(peer: Peer) -> Self:
        """The caller's account and device, and what they may do."""
        who = peer.identity
        return Self(who.account, who.device, sorted(who.scopes), who.via, who.guest)

    @handlers.method("accounts.enrol", scope=ENROL)
    async def enrol(device: str, verifier: Verifier, peer: Peer) -> Enrolled:
        """Turn the caller's ticket into a device of that name; the key stays with the caller, this is its verifier."""
        new = await accounts.enrol(peer.identity, device, verifier)
        log.info("%s joined, by %s", f"{new.account}/{new.name}", peer.identity.device)
        return Enrolled(new.account, new.name, sorted(new.scopes))

    @handlers.method("accounts.password")
    async def password(verifier: Verifier, peer: Peer) -> None:
        """Set or replace the password of the caller's account. Links that used an old one end."""
        device = await accounts.set_password(peer.identity, verifier)
        log.info("%s set the password of %s", peer.identity, device.account)
        asyncio.get_running_loop().call_later(ANSWERED, cut, device.account, PASSWORD)

    @handlers.method("accounts.revoke")
    async def revoke(
        peer: Peer, account: str | None = None, device: str | None = None, ticket: str | None = None
    ) -> int | None:
        """End a device of one's own; for an admin also an account, anybody's device, or an open ticket (by its id).

        Returns how many live links that ended; None when the caller's is one of them, which ends after the answer.
        """
        me = peer.identity
        if account is None and ticket is None and device is not None:
            account = me.account
        if me.guest or device is None or account != me.account:
            _require_admin(me, "to revoke anything but a device of one's own")
        if (account is None) == (ticket is None):
            raise InvalidArgument("say which device or account to revoke, or which ticket")
        if account is None:
            owner = await accounts.revoke_ticket(ticket or "")
            log.info("%s revoked %s/%s of %s", me, TICKET, ticket, owner)
            return cut(owner, f"{TICKET}/{ticket}")
        await accounts.revoke(account, device)
        log.info("%s revoked %s", me, account if device is None else f"{account}/{device}")
        if account == me.account and device in (None, me.device):
            asyncio.get_running_loop().call_later(ANSWERED, cut, account, device)
            return None
        return cut(account, device)


def _for_admins(handlers: Handlers, accounts: Accounts, cut: Cut, invite: Invite, limits: Limits) -> None:
    @handlers.method("accounts.invite", scope="admin")
    async def invite_(account: str, peer: Peer, can: list[str] | None = None, expires: float = LIFETIME) -> str:
        """A ticket for one device of an account, made if it is new. It is good once, for `expires` seconds."""
        ticket = await invite(account, can=can, expires=expires)
        log.info("%s invited %s%s", peer.identity, account, "" if can is None else f" for {', '.join(can)}")
        return ticket

    @handlers.method("accounts.list", scope="admin")
    async def list_(after: str = "") -> list[ListedAccount]:
        """Accounts with their devices and open tickets, oldest first. As many as fit an answer: the next are those
        `after` the last of these, and after the last of all there are none."""
        page: list[ListedAccount] = []
        size = 0
        for entry in await accounts.list(after):
            page.append(_listed(*entry))
            size += len(encode(page[-1]))
            if size > limits.page_bytes:
                break
        return page

    @handlers.method("accounts.allow", scope="admin")
    async def allow(account: str, can: list[str], peer: Peer) -> list[str]:
        """Set what an account may do at most; its links end, and come back with just that."""
        changed = await accounts.allow(account, can)
        log.info("%s allowed %s %s", peer.identity, account, ", ".join(sorted(changed.scopes)) or "nothing")
        cut(account, None)
        return sorted(changed.scopes)


def _require_admin(identity: Identity, what: str) -> None:
    if not identity.may("admin"):
        raise Denied(identity.refusal(what, "admin"))


def _listed(account: Account, devices: list[Device], tickets: list[Ticket]) -> ListedAccount:
    return ListedAccount(
        account.name,
        sorted(account.scopes),
        account.created,
        account.revoked,
        [ListedDevice(device.name, sorted(device.scopes), device.created) for device in devices],
        [ListedTicket(ticket.id, sorted(ticket.scopes), ticket.expires) for ticket in tickets],
    )

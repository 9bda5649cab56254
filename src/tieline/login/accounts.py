"""The accounts of one server: invited, enrolled, listed, revoked. Speaks to the store and to nobody else.

Every change is durable when its method returns. Live links are not its business: who revokes also cuts (services).
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable

from tieline.errors import Conflict, Denied, InvalidArgument, NotFound
from tieline.login.credential import user_name
from tieline.login.gate import Gate
from tieline.login.identity import ENROL, Identity, Via
from tieline.login.names import PASSWORD, NoAccount, account_name, device_name
from tieline.login.records import Account, AccountStore, Device, Enrolment, Ticket, Verifier
from tieline.login.scopes import scopes_of, within
from tieline.login.scram import SALT, make_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS, PASSWORD_ITERATIONS
from tieline.login.tickets import new_secret, ticket_url

LIFETIME = 24 * 3600.0
"Seconds a ticket is good for when nobody says otherwise."
LONGEST_LIFETIME = 30 * LIFETIME


class Accounts:
    """One per server. `clock` gives unix seconds, `random(n)` n bytes."""

    def __init__(
        self,
        store: AccountStore,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        # Changes look first and then act; one at a time, so that what they saw still holds.
        self._changing = asyncio.Lock()
        self.gate = Gate(store, clock, random)

    async def start(self) -> None:
        """Make ready what the first login would otherwise wait for."""
        await self.gate.start()

    async def owner(self) -> str | None:
        """The oldest account that may administer; None on a server nobody owns yet."""
        return await self.gate.owner()

    async def exists(self, account: str) -> bool:
        """Whether there is such an account, and it is not revoked."""
        known = await self._store.account(account)
        return known is not None and known.revoked is None

    async def create_owner(self, name: str) -> Account:
        """The first account, which may do everything. Raises Conflict when the server has an owner."""
        account_name(name)
        async with self._changing:
            owner = await self.gate.owner()
            if owner is not None:
                raise Conflict(f"this server belongs to {owner!r} already")
            account = Account(name, frozenset({"admin"}), self._now())
            await self._store.put_account(account)
            return account

    async def invite(
        self,
        account: str,
        scopes: Iterable[str] | None = None,
        lifetime: float = LIFETIME,
        where: str = "localhost",
        pin: str = "",
    ) -> str:
        """A ticket for one device of `account`, which is made if it is new (and may chat unless told otherwise).

        It names this server by `where` (host:port) and `pin`, and is kept nowhere: whoever has it may use it, once,
        within `lifetime` seconds. Raises Conflict when an existing account is to get more than it may: see allow().
        """
        account_name(account)
        if not 0 < lifetime <= LONGEST_LIFETIME:
            raise InvalidArgument(f"a ticket lives up to {LONGEST_LIFETIME / 86400:.0f} days, not {lifetime:.0f} s")
        asked = None if scopes is None else scopes_of(scopes)
        async with self._changing:
            granted = await self._grant(account, asked)
            secret = await self._add_ticket(account, granted, lifetime)
        return ticket_url(where, account, pin, secret)

    async def enrol(self, identity: Identity, device: str, verifier: Verifier) -> Device:
        """Turn the ticket that `identity` logged in with into a device. Raises Denied when the ticket is used up or
        expired, Conflict when the account has such a device: the ticket then stays good for another name."""
        _, slash, id = identity.device.partition("/")
        if ENROL not in identity.scopes or not slash:
            raise Denied("only somebody who came with a ticket can enrol a device")
        check_verifier(device_name(device), verifier)
        ticket = await self._store.ticket(id)
        if ticket is None:
            raise Denied("this ticket was used already; ask for a new one")
        new = Device(identity.account, device, ticket.scopes, verifier, self._now())
        match await self._store.enrol(id, new, self._now()):
            case Enrolment.NAME_TAKEN:
                raise Conflict(f"{identity.account} has a device {device!r} already; choose another name")
            case Enrolment.TICKET_GONE:
                raise Denied("this ticket was used or has expired; ask for a new one")
            case Enrolment.DONE:
                return new

    async def set_password(self, identity: Identity, verifier: Verifier) -> Device:
        """Set or replace the password of the caller's account; it may do what the caller may, not more."""
        check_verifier(PASSWORD, verifier)
        account = await self._store.account(identity.account)
        if account is None or identity.guest or ENROL in identity.scopes:
            raise Denied("only an account's own devices can set its password")
        device = Device(account.name, PASSWORD, within(identity.scopes, account.scopes), verifier, self._now())
        if not await self._store.put_device(device):
            raise NoAccount(account.name)
        self.gate.revised()
        return device

    async def verify_password(self, account: str, password: str, address: str, via: Via = "lines") -> Identity:
        """For doors that are given a password. `account` may be "account/device" with that device's key, or a ticket's
        "ticket/ID" with its secret. Raises LoginFailed or TooManyAttempts."""
        user = account if "/" in account else user_name(account, PASSWORD)
        return await self.gate.verify(user, password, via, address)

    async def guest(self, name: str, scopes: frozenset[str] | None, address: str, via: Via = "lines") -> Identity:
        """For doors: a guest who would like to be called `name`. LoginFailed when `scopes` is None: no guests here."""
        return self.gate.guest(name, scopes, via, address)

    async def allow(self, account: str, scopes: Iterable[str]) -> Account:
        """Set what an account may do at most. Its devices keep what they were given, within that."""
        wanted = scopes_of(scopes)
        async with self._changing:
            known = await self._known(account)
            if "admin" not in wanted:
                await self._spare_last_admin(known)
            changed = Account(known.name, wanted, known.created)
            await self._store.put_account(changed)
        self.gate.revised()
        return changed

    async def revoke(self, account: str, device: str | None = None) -> None:
        """End one device, or the account with all its devices and tickets. Raises NotFound."""
        async with self._changing:
            known = await self._known(account)
            if device is not None:
                done = await self._store.revoke_device(account, device)
            else:
                await self._spare_last_admin(known)
                done = await self._store.revoke_account(account, self._now())
        self.gate.revised()
        if not done:
            raise NotFound(f"{account} has no device {device!r}; `tieline accounts` lists what there is")

    async def revoke_ticket(self, id: str) -> str:
        """Take an invitation back; returns whose it was. Raises NotFound when it was used or never there."""
        ticket = await self._store.ticket(id)
        if ticket is None or not await self._store.revoke_ticket(id):
            raise NotFound("there is no such open ticket; it may have been used or be too old")
        self.gate.revised()
        return ticket.account

    async def list(self, after: str = "") -> list[tuple[Account, list[Device], list[Ticket]]]:
        """Every account, oldest first, with its devices and the tickets that are still good; or those that come after
        one of them. Raises NoAccount when there was none of that name."""
        now = self._now()
        listing = await self._store.listing()
        first = next((at for at, (account, *_) in enumerate(listing, 1) if account.name == after), 0)
        if after and not first:
            raise NoAccount(after)
        return [
            (account, devices, [ticket for ticket in tickets if ticket.expires > now])
            for account, devices, tickets in listing[first:]
        ]

    async def _grant(self, name: str, asked: frozenset[str] | None) -> frozenset[str]:
        account = await self._store.account(name)
        if account is None or account.revoked is not None:
            granted = frozenset({"chat"}) if asked is None else asked
            await self._store.put_account(Account(name, granted, self._now() if account is None else account.created))
            return granted
        if asked is None:
            return account.scopes
        if within(asked, account.scopes) != asked:
            may = ", ".join(sorted(account.scopes)) or "nothing"
            more = ",".join(sorted(account.scopes | asked))
            raise Conflict(f"{name} may {may}; for a device that may more first `tieline allow {name} --can {more}`")
        return asked

    async def _add_ticket(self, account: str, scopes: frozenset[str], lifetime: float) -> str:
        id, secret = new_secret(self._random)
        verifier = await asyncio.to_thread(make_verifier, secret, KEY_ITERATIONS, self._random)
        now = self._now()
        ticket = Ticket(id, account, scopes, verifier, now, now + int(lifetime * 1000))
        if not await self._store.add_ticket(ticket):
            raise NoAccount(account)
        return secret

    async def _known(self, name: str) -> Account:
        account = await self._store.account(name)
        if account is None or account.revoked is not None:
            raise NoAccount(name)
        return account

    async def _spare_last_admin(self, account: Account) -> None:
        admins = [a for a in await self._store.accounts() if a.revoked is None and "admin" in a.scopes]
        if [a.name for a in admins] == [account.name]:
            raise Conflict(f"{account.name} is the last who may administer; let somebody else do so first")

    def _now(self) -> int:
        return int(self._clock() * 1000)


def check_verifier(device: str, verifier: Verifier) -> None:
    """Raises InvalidArgument unless the verifier looks like everybody's: salts and rounds that differ would tell a
    real account from a mock one."""
    rounds = PASSWORD_ITERATIONS if device == PASSWORD else KEY_ITERATIONS
    if verifier.iterations != rounds:
        raise InvalidArgument(f"the verifier has {verifier.iterations} rounds; for {device!r} it takes {rounds}")
    if (len(verifier.salt), len(verifier.stored_key), len(verifier.server_key)) != (SALT, 32, 32):
        raise InvalidArgument(f"a verifier is {SALT} bytes of salt and two keys of 32 bytes")

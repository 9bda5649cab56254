"""Who may come in, and as whom. Store and penalties on one side, a user name and a proof on the other.

Whoever is not there is answered like whoever gave the wrong secret: same steps, same shapes, same work.
"""

import asyncio
from collections.abc import Callable

import msgspec

from tieline.errors import InvalidArgument, LoginFailed, TooManyAttempts
from tieline.limits import DEFAULT
from tieline.login.credential import split_user_name
from tieline.login.identity import ENROL, Identity, Via
from tieline.login.names import GUEST, PASSWORD, NoAccount, account_name
from tieline.login.penalties import Penalties
from tieline.login.records import AccountStore, Verifier
from tieline.login.scopes import within
from tieline.login.scram import matches, mock_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS, PASSWORD_ITERATIONS
from tieline.login.tickets import TICKET

HASHING = 2
"Passwords hashed at once for doors, each a thread and half a second of a core; the rest wait."


class Candidate(msgspec.Struct, frozen=True):
    """Who a user name would be, if proven. Without an account it is nobody, behind a verifier that nothing fits."""

    user: str
    verifier: Verifier
    account: str = ""
    device: str = ""
    scopes: frozenset[str] = frozenset()


class Gate:
    """One per server. `clock` gives unix seconds, `random(n)` n bytes."""

    def __init__(self, store: AccountStore, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._penalties = Penalties()
        self._mock_key = b""
        self._hashing = asyncio.Semaphore(HASHING)
        self._revision = 0

    async def start(self) -> None:
        """Read, or make at the first start, the key that mock verifiers come from."""
        self._mock_key = await self._store.keep("login.mock", self._random(32))

    def check(self, user: str, address: str) -> None:
        """Raises TooManyAttempts while this user must wait. Ask before a login begins and again before its proof."""
        wait = self._penalties.wait(user, address, self._clock())
        if wait > 0:
            raise TooManyAttempts(wait)

    def refused(self, user: str, address: str) -> None:
        """A proof was wrong."""
        self._penalties.failed(user, address, self._clock())

    async def candidate(self, user: str) -> Candidate:
        """Whose proof to expect for this user name; somebody even when there is nobody."""
        mock = mock_verifier(await self._secret(), user, _iterations(user))
        return await self._find(user) or Candidate(user, mock)

    async def admit(self, candidate: Candidate, via: Via, address: str) -> Identity:
        """The identity of a candidate who gave the proof. Raises LoginFailed when it was revoked meanwhile.

        Returns without another await after the last look, so that a caller who lists the link as live at once cannot
        slip in between a revocation and its cutting of live links.
        """
        while True:
            revision = self._revision
            now = await self._find(candidate.user)
            if revision == self._revision:
                break
        if now is None or now.verifier != candidate.verifier:
            raise LoginFailed
        self._penalties.succeeded(now.user, address, self._clock())
        return Identity(now.account, now.device, now.scopes, via, address)

    async def verify(self, user: str, secret: str, via: Via, address: str) -> Identity:
        """The identity of a user whose secret a door was given. Raises LoginFailed or TooManyAttempts."""
        self.check(user, address)
        candidate = await self.candidate(user)
        async with self._hashing:
            right = await asyncio.to_thread(matches, candidate.verifier, secret)
        self.check(user, address)
        if not right or not candidate.account:
            self.refused(user, address)
            raise LoginFailed
        return await self.admit(candidate, via, address)

    async def local(self, account: str, address: str) -> Identity:
        """The system user who runs the server: as the owner, or as the account asked for."""
        if not account:
            return Identity(await self.owner() or "owner", "local", frozenset({"admin"}), "unix", address)
        known = await self._store.account(account)
        if known is None or known.revoked is not None:
            raise LoginFailed(str(NoAccount(account)))
        return Identity(known.name, "local", known.scopes, "unix", address)

    def guest(self, wish: str, scopes: frozenset[str] | None, via: Via, address: str) -> Identity:
        """Somebody who proves nothing, by a name like the one wished for. Raises LoginFailed."""
        if scopes is None:
            raise LoginFailed("this server takes no guests; ask its owner for a ticket")
        try:
            wish = account_name(wish) if wish else ""
        except InvalidArgument as error:
            raise LoginFailed(str(error)) from None
        # The random tail keeps a guest from being taken for an earlier one of that name, and from reading his letters.
        tail = self._random(4).hex()
        room = DEFAULT.name - len(GUEST) - len(tail) - 1
        return Identity(f"{GUEST}{wish[:room]}-{tail}" if wish else GUEST + tail, "guest", scopes, via, address, True)

    async def owner(self) -> str | None:
        """The oldest account that may administer; None while there is none."""
        accounts = await self._store.accounts()
        return next((a.name for a in accounts if a.revoked is None and "admin" in a.scopes), None)

    def revised(self) -> None:
        """Something was revoked or replaced: a login just under way must look again."""
        self._revision += 1

    async def _find(self, user: str) -> Candidate | None:
        names = split_user_name(user)
        if names is None:
            return None
        first, second = names
        return await (self._ticket(user, second) if first == TICKET else self._device(user, first, second))

    async def _ticket(self, user: str, id: str) -> Candidate | None:
        ticket = await self._store.ticket(id)
        if ticket is None or ticket.expires <= self._clock() * 1000:
            return None
        return Candidate(user, ticket.verifier, ticket.account, f"{TICKET}/{id}", frozenset({ENROL}))

    async def _device(self, user: str, account: str, name: str) -> Candidate | None:
        # Both are always read: stopping at a missing account would be quicker, and so say that it is missing.
        known = await self._store.account(account)
        device = await self._store.device(account, name)
        if known is None or known.revoked is not None or device is None:
            return None
        return Candidate(user, device.verifier, account, name, within(device.scopes, known.scopes))

    async def _secret(self) -> bytes:
        if not self._mock_key:
            await self.start()
        return self._mock_key


def _iterations(user: str) -> int:
    return PASSWORD_ITERATIONS if user.endswith(f"/{PASSWORD}") else KEY_ITERATIONS

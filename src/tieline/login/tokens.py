"""Access tokens: what a script shows at the HTTP door instead of logging in. Made, listed, revoked, verified.

A token is a secret text that only its holder keeps; the server keeps its hash. It may do a part of what its account
may, ends by itself, and ends with its account, with the device that made it, and when it is revoked.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from tieline.errors import Conflict, Denied, InvalidArgument, LoginFailed, NotFound
from tieline.login.gate import Gate
from tieline.login.identity import ENROL, TOKEN, Identity, Via
from tieline.login.names import NoAccount, device_name
from tieline.login.records import Account
from tieline.login.scopes import scopes_of, within
from tieline.login.tickets import id_of, new_secret

PREFIX = "tieline-"
"What a token begins with, so that whoever finds one in a log knows what it is."
LIFETIME = 90 * 86_400.0
"Seconds a token is good for when nobody says otherwise."
LONGEST_LIFETIME = 366 * 86_400.0
MOST = 100
"Tokens one account may have at a time."
DEFAULT_SCOPES = frozenset({"files.read", "files.write"})


class Token(msgspec.Struct, frozen=True):
    """A token as it is kept. `device` made it; times are unix milliseconds."""

    id: str
    account: str
    name: str
    device: str
    scopes: frozenset[str]
    hash: bytes
    created: int
    expires: int

    def __repr__(self) -> str:
        return f"<Token {self.account}/{self.name}>"


class TokenStore(Protocol):
    """Each method is one transaction, durable when it returns. Tokens go with their account and their device."""

    async def account(self, name: str) -> Account | None: ...

    async def add_token(self, token: Token) -> bool:
        """False, and nothing done, when the account is not there or revoked. Raises Conflict for a name that is taken
        by one that is still good; tokens of the account that expired before `token.created` are deleted."""

    async def token(self, id: str) -> Token | None: ...

    async def tokens(self, account: str) -> list[Token]:
        """The account's tokens by name, expired ones too."""

    async def revoke_token(self, account: str, name: str) -> bool:
        """Delete it. False when there was none."""


class Tokens:
    """One per server. `clock` gives unix seconds, `random(n)` n bytes."""

    def __init__(
        self,
        store: TokenStore,
        gate: Gate,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._random = random

    async def create(
        self, identity: Identity, name: str, scopes: Iterable[str] | None = None, lifetime: float = LIFETIME
    ) -> tuple[Token, str]:
        """A new token of the caller's account, and its text, which is kept nowhere. It may not more than the caller.

        Without `scopes` it is for what the caller may do with files. Raises Denied, Conflict, InvalidArgument.
        """
        if identity.guest or ENROL in identity.scopes or identity.device.startswith(f"{TOKEN}/"):
            raise Denied("only an account's own devices can make tokens")
        if not 0 < lifetime <= LONGEST_LIFETIME:
            raise InvalidArgument(f"a token lives up to {LONGEST_LIFETIME / 86400:.0f} days, not {lifetime:.0f} s")
        granted = self._granted(identity, scopes)
        id, secret = new_secret(self._random)
        now = self._now()
        if len([token for token in await self._store.tokens(identity.account) if token.expires > now]) >= MOST:
            raise Conflict(f"{identity.account} has {MOST} tokens, and no account may have more; revoke some")
        name = device_name(name or id)
        expires = now + int(lifetime * 1000)
        token = Token(id, identity.account, name, identity.device, granted, _hash(secret), now, expires)
        if not await self._store.add_token(token):
            raise NoAccount(identity.account)
        return token, PREFIX + secret

    async def verify(self, text: str, address: str, via: Via = "http") -> Identity:
        """Who shows this token. Raises LoginFailed, or TooManyAttempts from where too many wrong ones came."""
        secret = text.removeprefix(PREFIX)
        id = id_of(secret) if secret != text and len(text) < 128 else ""
        user = f"{TOKEN}/{id}"
        self._gate.check(user, address)
        identity = await self._identity(id, _hash(secret), via, address)
        if identity is None:
            self._gate.refused(user, address)
            raise LoginFailed("this token is wrong, has expired or was revoked; `tieline token` makes a new one")
        return identity

    async def still(self, text: str, identity: Identity) -> bool:
        """Whether the token that gave this identity is good for the same as then. Nobody is made to wait for asking."""
        secret = text.removeprefix(PREFIX)
        now = await self._identity(id_of(secret), _hash(secret), identity.via, identity.address)
        return now is not None and now.scopes >= identity.scopes

    async def list(self, account: str) -> list[Token]:
        """The account's tokens that are still good, by name."""
        now = self._now()
        return [token for token in await self._store.tokens(account) if token.expires > now]

    async def revoke(self, account: str, name: str) -> None:
        """End one. Raises NotFound."""
        done = await self._store.revoke_token(account, name)
        self._gate.revised()
        if not done:
            raise NotFound(f"{account} has no token {name[:64]!a}; `tieline token --list` shows which there are")

    async def _identity(self, id: str, hash: bytes, via: Via, address: str) -> Identity | None:
        token = await self._store.token(id)
        # Compared in any case, so that a wrong id takes as long as a wrong secret.
        right = hmac.compare_digest(token.hash if token is not None else bytes(32), hash)
        if token is None or not right or token.expires <= self._now():
            return None
        account = await self._store.account(token.account)
        if account is None or account.revoked is not None:
            return None
        return Identity(account.name, f"{TOKEN}/{token.name}", within(token.scopes, account.scopes), via, address)

    def _granted(self, identity: Identity, scopes: Iterable[str] | None) -> frozenset[str]:
        if scopes is None:
            granted = within(DEFAULT_SCOPES, identity.scopes)
            if not granted:
                raise Denied(identity.refusal("a token for files", "files.read"))
            return granted
        asked = scopes_of(scopes)
        if not asked:
            raise InvalidArgument("a token must be for something; leave --can out for files")
        if within(asked, identity.scopes) != asked:
            may = ", ".join(sorted(identity.scopes)) or "nothing"
            raise Denied(f"you may {may}, and a token of yours cannot do more")
        return asked

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _hash(secret: str) -> bytes:
    # 160 random bits: hashing them slowly would buy nothing.
    return hashlib.sha256(secret.encode(errors="replace")).digest()

"""The server's side of a login: AUTH payloads in, AUTH payloads and at the end an Identity out. Knows no socket.

EXTERNAL: the system user of a Unix socket (RFC 4422). SCRAM: everybody with a secret. ANONYMOUS: guests, where the
owner lets them (RFC 4505; the data is the name they would like).
"""

import secrets
from collections.abc import Callable

from tieline.errors import LoginFailed
from tieline.limits import DEFAULT
from tieline.login.accounts import Accounts
from tieline.login.credential import PLAIN, PLUS
from tieline.login.gate import Candidate
from tieline.login.identity import Identity, Via
from tieline.login.scram import ServerSide

EXTERNAL = "EXTERNAL"
ANONYMOUS = "ANONYMOUS"


class ServerLogin:
    """One login on one link. `guests` are the scopes a guest gets, None when there are none; `binding` is the
    tls-server-end-point of our certificate, and without it there is no login over TLS.

    It says yes once and no once: any step after that, out of order or of another mechanism, is refused.
    """

    def __init__(
        self,
        accounts: Accounts,
        endpoint_kind: str,
        binding: bytes | None,
        uid_is_ours: bool,
        address: str,
        guests: frozenset[str] | None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._gate = accounts.gate
        self._via: Via = _via(endpoint_kind)
        self._binding = binding if endpoint_kind == "tls" else None
        self._address = address
        self._guests = guests
        self._random = random
        self._mechanism = ""
        self._open = True
        self._scram: ServerSide | None = None
        self._candidate: Candidate | None = None
        self.mechanisms = _offered(endpoint_kind, binding, uid_is_ours, guests)

    async def step(self, mechanism: str, data: bytes) -> tuple[bytes | None, Identity | None]:
        """The reply to one AUTH, and the identity when this was the last. Raises LoginError: LoginFailed, or
        TooManyAttempts with the seconds to wait."""
        if not self._open:
            raise LoginFailed("this login is over, or its last step is not answered yet")
        if mechanism not in self.mechanisms or self._mechanism not in ("", mechanism):
            self._open = False
            raise LoginFailed(f"the login mechanism {mechanism[:40]!a} was not offered here; offered is {self._offer}")
        self._mechanism = mechanism
        # Closed while it works, so that neither an error nor a step sent ahead leaves it open.
        self._open = False
        reply, identity = await self._answer(mechanism, data)
        self._open = identity is None
        return reply, identity

    async def _answer(self, mechanism: str, data: bytes) -> tuple[bytes | None, Identity | None]:
        if mechanism == EXTERNAL:
            return None, await self._gate.local(_name(data), self._address)
        if mechanism == ANONYMOUS:
            return None, self._gate.guest(_name(data), self._guests, self._via, self._address)
        if self._candidate is None:
            return await self._first(data), None
        return await self._final(self._candidate, data)

    async def _first(self, data: bytes) -> bytes:
        self._scram = ServerSide(self._binding, self._random)
        user = self._scram.user(data)
        self._gate.check(user, self._address)
        self._candidate = await self._gate.candidate(user)
        return self._scram.first(data, self._candidate.verifier)

    async def _final(self, candidate: Candidate, data: bytes) -> tuple[bytes, Identity]:
        assert self._scram is not None
        # Again, before the proof is looked at: logins begun side by side must not be guesses free of charge.
        self._gate.check(candidate.user, self._address)
        try:
            reply = self._scram.final(data)
        except LoginFailed:
            self._gate.refused(candidate.user, self._address)
            raise
        return reply, await self._gate.admit(candidate, self._via, self._address)

    @property
    def _offer(self) -> str:
        return ", ".join(self.mechanisms) or "none"

    def __repr__(self) -> str:
        return f"<ServerLogin {self._mechanism or 'not begun'} from {self._address or self._via}>"


def _offered(kind: str, binding: bytes | None, uid_is_ours: bool, guests: frozenset[str] | None) -> tuple[str, ...]:
    offered: list[str] = []
    if kind == "unix" and uid_is_ours:
        offered.append(EXTERNAL)
    if kind != "tls":
        offered.append(PLAIN)
    elif binding is not None:
        # Only the bound form: offering both is offering whoever is in between the choice (RFC 5802, 6).
        offered.append(PLUS)
    if guests is not None:
        offered.append(ANONYMOUS)
    return tuple(offered)


def _via(kind: str) -> Via:
    match kind:
        case "unix":
            return "unix"
        case "memory":
            return "memory"
        case _:
            return "native"


def _name(data: bytes) -> str:
    """A name as it came, at most a little over what names may be long."""
    try:
        return data[: 4 * DEFAULT.name].decode()
    except UnicodeDecodeError:
        raise LoginFailed("the name is not text") from None

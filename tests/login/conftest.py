"""A real store in memory, a clock that jumps, and the ways a login is played from end to end."""

from collections.abc import AsyncIterator

import pytest

from tieline.login.accounts import Accounts
from tieline.login.client import ClientLogin
from tieline.login.credential import Credential, new_key
from tieline.login.identity import Identity
from tieline.login.records import Verifier
from tieline.login.scram import make_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS
from tieline.login.server import ServerLogin
from tieline.store.sqlite import SqliteStore

BINDING = b"\x11" * 32
"The digest of the server's certificate, as both ends should see it."


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    async with SqliteStore(":memory:") as store:
        yield store


@pytest.fixture
def accounts(store: SqliteStore, clock: Clock) -> Accounts:
    return Accounts(store, clock)


def secret_of(ticket: str) -> str:
    return ticket.partition("#")[2]


def verifier_of(key: str) -> Verifier:
    return make_verifier(key, KEY_ITERATIONS, lambda n: bytes(range(n)))


def server_login(
    accounts: Accounts,
    kind: str = "tls",
    binding: bytes | None = BINDING,
    *,
    address: str = "192.0.2.1",
    guests: frozenset[str] | None = None,
    uid_is_ours: bool = False,
) -> ServerLogin:
    return ServerLogin(accounts, kind, binding, uid_is_ours, address, guests)


async def log_in(
    accounts: Accounts,
    credential: Credential,
    kind: str = "tls",
    binding: bytes | None = BINDING,
    *,
    address: str = "192.0.2.1",
    guests: frozenset[str] | None = None,
    uid_is_ours: bool = False,
) -> Identity:
    """The whole login, as the exchange over a link plays it."""
    server = server_login(accounts, kind, BINDING, address=address, guests=guests, uid_is_ours=uid_is_ours)
    client = ClientLogin(credential, binding if kind == "tls" else None)
    mechanism, data = client.first(server.mechanisms)
    while True:
        reply, identity = await server.step(mechanism, data)
        answer = None if client.proven else await client.step(reply or b"")
        if identity is not None:
            assert client.proven
            return identity
        assert answer is not None
        data = answer


async def joined(accounts: Accounts, account: str = "ada", device: str = "laptop", **invitation: object) -> Credential:
    """Invite an account and let it enrol a device; returns what the device logs in with."""
    ticket = await accounts.invite(account, **invitation)  # type: ignore[arg-type]
    identity = await log_in(accounts, Credential.ticket(secret_of(ticket)))
    key = new_key()
    await accounts.enrol(identity, device, verifier_of(key))
    return Credential.key(account, device, key)

"""A whole server in memory, and peers of it without sockets and without a login.

async with tieline.testing.server() as server:
    @server.method("greet")
    async def greet(name: str) -> str: ...

    async with tieline.testing.connect(server, account="ada", scopes={"chat"}) as ada:
        assert await ada.call("greet", name="Ada") == "hello Ada"
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from tieline.errors import Conflict
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.login.scopes import SCOPES
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.server import Server


@asynccontextmanager
async def server(
    made: Server | None = None, *, guests: bool = False, limits: Limits = DEFAULT
) -> AsyncIterator[Server]:
    """A server that serves this process only and forgets everything; `made` is one of your own, else a new one."""
    serving = made if made is not None else Server(data=":memory:", name="test", guests=guests, limits=limits)
    async with serving.serving():
        yield serving


@asynccontextmanager
async def connect(
    server: Server,
    *,
    account: str = "tester",
    device: str = "test",
    scopes: Iterable[str] = ("chat",),
    handlers: Handlers | None = None,
) -> AsyncIterator[Peer]:
    """A peer of a serving server, as `account` with just these scopes; leaving the block closes it.

    The account is made when there is none. `handlers` are what the server may call here.
    """
    granted = frozenset(scopes)
    # With scopes of a test's own making, or fewer than before, the account itself does not matter.
    with suppress(Conflict):
        await server.accounts.invite(account, granted & SCOPES or None)
    peer = server.admit(Identity(account, device, granted, via="memory"), handlers)
    try:
        yield peer
    finally:
        await peer.close()

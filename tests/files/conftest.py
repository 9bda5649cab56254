"""A real server with people who have files, reached by each of its ways."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

import tieline
from tieline.limits import DEFAULT, Limits
from tieline.login.credential import new_key
from tieline.login.scram import make_verifier


class House:
    """A server on tcp, tls and a Unix socket. `login` gives a client of somebody, who is made when new."""

    def __init__(self, server: tieline.Server, addresses: list[str], folder: Path) -> None:
        self.server = server
        self.tcp = addresses[0]
        self.unix = addresses[1]
        self.folder = folder
        self.files = folder / "data" / "files"

    @property
    def tls(self) -> str:
        return f"{self.tcp.replace('tcp://', 'tls://')}?pin={self.server.certificate.pin}"

    async def key(self, account: str, can: str = "chat,files", device: str = "laptop") -> str:
        ticket = await self.server.invite(account, can=can.split(","), where=self.tcp.removeprefix("tcp://"))
        key = new_key()
        async with tieline.connect(ticket) as peer:
            await peer.call("accounts.enrol", device=device, verifier=make_verifier(key, 4096, secrets.token_bytes))
        return key

    async def login(
        self, stack: AsyncExitStack, account: str, address: str = "", *, can: str = "chat,files"
    ) -> tieline.Client:
        key = await self.key(account, can)
        return await stack.enter_async_context(self.connect(account, key, address))

    def connect(
        self, account: str, key: str, address: str = "", limits: Limits = DEFAULT
    ) -> AbstractAsyncContextManager[tieline.Client]:
        return tieline.connect(address or self.tls, account=account, device="laptop", key=key, limits=limits)

    def owner(self) -> AbstractAsyncContextManager[tieline.Client]:
        return tieline.connect(self.unix)


@pytest.fixture
def limits() -> Limits:
    return DEFAULT


@pytest.fixture
async def house(tmp_path: Path, limits: Limits) -> AsyncIterator[House]:
    server = tieline.Server(data=tmp_path / "data", limits=limits)
    async with server.serving("tcp://127.0.0.1:0", f"unix:{tmp_path}/s.sock") as addresses:
        await server.accounts.create_owner("own")
        yield House(server, addresses, tmp_path)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack

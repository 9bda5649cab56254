"""A server with files in this process, and callers of it without sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tieline.errors import Conflict
from tieline.login.identity import Identity
from tieline.rpc.peer import Peer
from tieline.server import Server

EVERYTHING = ("chat", "files.read", "files.write")


class House:
    """`login()` gives a caller; `root` is where the files lie."""

    def __init__(self, server: Server, root: Path) -> None:
        self.server = server
        self.root = root

    async def login(self, account: str, *scopes: str, guest: bool = False, device: str = "laptop") -> Peer:
        if not guest:
            try:
                await self.server.accounts.invite(account, EVERYTHING)
            except Conflict:
                pass
        return self.server.admit(Identity(account, device, frozenset(scopes or EVERYTHING), "memory", guest=guest))

    def file(self, path: str, text: str = "") -> Path:
        """Put there by hand."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place


@pytest.fixture
def settings() -> dict[str, int]:
    return {}


@pytest.fixture
async def house(tmp_path: Path, settings: dict[str, int]) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        server = Server(data=tmp_path / "data", name="house", **settings)  # type: ignore[arg-type]
        await stack.enter_async_context(server.serving())
        await server.accounts.create_owner("grace")
        yield House(server, tmp_path / "data" / "files")


Login = Callable[..., Peer]

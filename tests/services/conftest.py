"""A server's services without a server: callers joined to them by links within the process, as doors are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.login.records import Account
from tieline.rpc import topics as topic_methods
from tieline.rpc.handlers import Handlers
from tieline.rpc.links import Links
from tieline.rpc.peer import Peer
from tieline.rpc.reception import Reception
from tieline.rpc.topics import Topics
from tieline.services import chat, clock, echo
from tieline.store.sqlite import SqliteStore

NOON = 1_795_000_000.0


class House:
    """`login()` gives a caller's end of a link; everything is closed with the house."""

    def __init__(self, store: SqliteStore, limits: Limits) -> None:
        self.store = store
        self.limits = limits
        self.now = NOON
        self.handlers = Handlers()
        self.topics = Topics()
        self.links = Links()
        topic_methods.install(self.handlers, self.topics)
        echo.install(self.handlers)
        clock.install(self.handlers, lambda: self.now)
        chat.install(self.handlers, self.topics, store, limits, lambda: self.now)
        self._reception = Reception(limits, self.handlers, self.links, no_login, name="house", binding=None)

    async def account(self, *names: str) -> None:
        for name in names:
            await self.store.put_account(Account(name, frozenset({"chat"}), 1))

    def login(self, name: str, *scopes: str, guest: bool = False, device: str = "laptop") -> Peer:
        return self._reception.door(Identity(name, device, frozenset(scopes or ("chat",)), "memory", guest=guest))

    async def close(self) -> None:
        await self.links.drain("the test is over", 1.0)
        await self._reception.close()


def no_login(endpoint: object) -> object:
    raise AssertionError("nobody logs in here")


@pytest.fixture
def limits() -> Limits:
    return DEFAULT


@pytest.fixture
async def house(tmp_path: Path, limits: Limits) -> AsyncIterator[House]:
    async with SqliteStore(tmp_path, limits=limits) as store:
        house = House(store, limits)
        await house.account("ada", "bob", "eve")
        yield house
        await house.close()

import asyncio
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
import uvloop
from tests.doors.files_shop import open_shop

from tieline.doors.lines import LinesDoor
from tieline.errors import LoginFailed
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.login.records import Account
from tieline.rpc import topics as topic_methods
from tieline.rpc.handlers import Handlers
from tieline.rpc.links import Links
from tieline.rpc.reception import Reception
from tieline.rpc.topics import Topics
from tieline.services import chat, echo
from tieline.store.sqlite import SqliteStore
from tieline.transports import memory
from tieline.transports.endpoint import MEMORY


def pytest_asyncio_loop_factories(config, item):
    """Async tests of this folder run on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Opening:
    """What the listener would keep of a caller."""

    def __init__(self):
        self.is_done = False
        self.seconds = None

    def done(self):
        self.is_done = True

    def allow(self, seconds):
        self.seconds = seconds


class Person:
    """The other end of a visitor's stream: types bytes, and waits for words to appear on the screen."""

    def __init__(self):
        self.opening = Opening()
        self.screen = b""
        self.gone = False
        self._news = asyncio.Event()

    def opened(self, stream):
        self.stream = stream

    def received(self, data):
        self.screen += bytes(data)
        self._news.set()

    def finished(self):
        pass

    def ended(self, error):
        self.gone = True
        self._news.set()

    def writable(self, yes):
        pass

    def types(self, *lines):
        for line in lines:
            self.stream.write(line if isinstance(line, bytes) else f"{line}\n".encode())

    async def sees(self, words, seconds=5):
        """Everything up to and with `words`; what was seen is not seen again."""
        wanted = words if isinstance(words, bytes) else words.encode()
        try:
            async with asyncio.timeout(seconds):
                while wanted not in self.screen:
                    assert not self.gone, f"gone without {words!r}; the rest was {self.screen!r}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {words!r} in {self.screen[-300:]!r}") from None
        end = self.screen.index(wanted) + len(wanted)
        seen, self.screen = self.screen[:end], self.screen[end:]
        return seen.decode(errors="replace")

    async def parts(self, seconds=5):
        """Everything until the end of the connection."""
        async with asyncio.timeout(seconds):
            while not self.gone:
                self._news.clear()
                await self._news.wait()
        return self.screen.decode(errors="replace")


class House:
    """A chat server without sockets, with the lines door on it."""

    passwords: ClassVar = {"ada": "lovelace", "bob": "hope", "eve": "apple"}

    def __init__(self, store, limits, guests):
        self.limits = limits
        self.guests = guests
        self.handlers, self.topics, self.links = Handlers(), Topics(), Links()
        topic_methods.install(self.handlers, self.topics)
        chat.install(self.handlers, self.topics, store, limits)
        echo.install(self.handlers)
        self.reception = Reception(limits, self.handlers, self.links, lambda endpoint: None, name="here", binding=None)
        self.door = LinesDoor(self.admit, name="here", guests=guests, limits=limits)
        self.tried = []

    async def admit(self, name, password, address):
        self.tried.append((name, password, address))
        await asyncio.sleep(0)
        scopes = frozenset() if name == "eve" else frozenset({"chat"})
        if password is None and self.guests:
            return self.reception.door(Identity(f"guest-{name}", "guest", scopes, "lines", address, True))
        if password is None or self.passwords.get(name) != password:
            raise LoginFailed
        return self.reception.door(Identity(name, "password", scopes, "lines", address))

    def peer(self, name):
        """Somebody who came in another way."""
        return self.reception.door(Identity(name, "laptop", frozenset({"chat"})))

    def visit(self, info=MEMORY):
        """A person at the door, who has not said anything."""
        person = Person()
        visitor = self.door.protocol(person.opening)._receiver
        memory.pair(person, visitor, near_info=info, limits=self.limits)
        return person

    async def visit_as(self, name, room="lobby"):
        """A person who is in."""
        person = self.visit()
        person.types(name, self.passwords[name])
        await person.sees("* here:")
        await person.sees("\n")
        if room != "lobby":
            person.types(f"/join {room}")
            await person.sees("* here:")
            await person.sees("\n")
        return person

    async def empty(self):
        """Wait until nobody is left."""
        async with asyncio.timeout(5):
            while len(self.links) or len(self.door):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def open_house(limits=None, guests=False):
    async with SqliteStore(":memory:") as store:
        for name in House.passwords:
            await store.put_account(Account(name, frozenset({"chat"}), 0))
        house = House(store, limits or Limits(), guests)
        try:
            yield house
        finally:
            await house.door.close()
            for peer in house.links:
                peer.cut("the test is over")
            await house.empty()


@pytest.fixture
async def house():
    """A house as most tests want it: ada, bob and eve (who may not chat), no guests."""
    async with open_house() as opened:
        yield opened


@pytest.fixture
def houses():
    """`async with houses(limits=…, guests=…) as house`."""
    return open_house


@pytest.fixture
async def shop(tmp_path):
    async with open_shop(tmp_path / "data") as shop:
        yield shop


@pytest.fixture
async def hurried(tmp_path):
    """One that waits for nobody, and does one thing at a time for each account."""
    async with open_shop(tmp_path / "data", limits=Limits(http_stall=0.5, http_requests=1)) as shop:
        yield shop


@pytest.fixture
def shops(tmp_path):
    """`async with shops(files_quota=…) as shop`."""
    return lambda **settings: open_shop(tmp_path / "data", **settings)

import asyncio
import gc
from contextlib import asynccontextmanager

import pytest
import uvloop

from tieline.errors import LinkError
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.login.exchange import Turns, admit, enter
from tieline.login.identity import Identity
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.testing import Clock
from tieline.transports import memory
from tieline.wire.moves import Side


def pytest_asyncio_loop_factories(config, item):
    """Async tests of this folder run on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Proofless:
    """The login of a test: everybody is who the test says."""

    mechanisms = ("TEST",)
    proven = True

    def __init__(self, scopes=("chat",), account="ada", device="laptop", guest=False):
        self._identity = Identity(account, device, frozenset(scopes), "native", "", guest)

    def first(self, mechanisms):
        return "TEST", b""

    async def step(self, *_):
        return b"", self._identity


async def settle(turns=30):
    """Let everything happen that needs no time."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition, turns=20_000):
    """The loop's turns, not time, decide when; the bound is for a test that fails."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


async def log_in(
    handlers, *, client_handlers=None, limits=None, client_limits=None, scopes=("chat",), onward=None, **who
):
    """A client and a server peer, logged in to each other over memory: (client, server)."""
    limits = limits or Limits()
    client_limits = client_limits or limits
    client_turns, server_turns = Turns(), Turns()
    near, far = FrameLink(Side.CLIENT, client_limits, client_turns), FrameLink(Side.SERVER, limits, server_turns)
    memory.pair(near, far, limits=limits)
    steps = Proofless(scopes, **who)
    server = asyncio.create_task(admit(far, server_turns, lambda _: steps, agent="t", name="t", limits=limits))
    welcome = await enter(near, client_turns, steps, agent="t", limits=client_limits)
    served = Peer(limits, handlers, await server)
    served.onward = onward
    served.use(far)
    client = Peer(
        client_limits,
        client_handlers or Handlers(),
        Identity(welcome.account, welcome.device, frozenset(welcome.scopes), "native", ""),
    )
    client.use(near)
    client.events(client_turns.rest())
    return client, served


@asynccontextmanager
async def nothing_left():
    """Afterwards no task runs that did not before, and nobody complained to the loop."""
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    before = asyncio.all_tasks()
    yield
    gc.collect()
    await settle()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left
    assert complaints == []


async def hang_up(*peers):
    for peer in peers:
        if peer.link is not None:
            peer.link.abort(LinkError("the test is over"))
    await settle()


@pytest.fixture
def handlers():
    return Handlers()


@pytest.fixture
async def join():
    """`client, server = await join(handlers, …)`, as `log_in`; all of it is gone afterwards."""
    async with nothing_left():
        joined = []

        async def make(handlers, **options):
            joined.extend(pair := await log_in(handlers, **options))
            return pair

        yield make
        await hang_up(*joined)
        joined.clear()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def story(clock):
    """`story(coroutine_function, handlers, …)` runs it with a logged-in pair on a clock that stands still."""

    def run(play, handlers, **options):
        async def whole():
            async with nothing_left():
                client, server = await log_in(handlers, **options)
                await play(client, server)
                await hang_up(client, server)

        clock.run(whole())

    return run


@pytest.fixture
async def board():
    """A server's switchboard with machines and callers around it."""
    from tests.rpc.board import Board  # which takes from here in turn

    async with nothing_left():
        made = Board()
        yield made
        await made.close()


@pytest.fixture
def lab():
    from tests.rpc.lab import Lab

    return Lab()

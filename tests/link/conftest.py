import asyncio
import os
import socket

import pytest
import uvloop

from tieline.limits import Limits
from tieline.link.listener import Listener
from tieline.link.opening import Routes
from tieline.transports.certificate import ServerCertificate, make_certificate
from tieline.transports.sockets import listen_tcp
from tieline.transports.stream import Stream


def pytest_asyncio_loop_factories(config, item):
    """Async tests of this folder run on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Echo:
    """A receiver that says which route it is, then repeats what it hears."""

    def __init__(self, route, opening):
        self.route, self.opening = route, opening

    def opened(self, stream):
        self.stream = stream
        stream.write(self.route + b":")

    def received(self, data):
        self.opening.done()
        self.stream.write(bytes(data))

    def finished(self):
        self.stream.close()

    def ended(self, error):
        pass

    def writable(self, yes):
        pass


def echoes(seen):
    def route(name):
        def make(opening):
            seen.append((name.decode(), opening))
            return Stream(Echo(name, opening))

        return make

    return Routes(native=route(b"native"), http=route(b"http"), lines=route(b"lines"))


@pytest.fixture(scope="session")
def certificate():
    return ServerCertificate(*make_certificate([]))


async def until(condition):
    """The loop's turns, not time, decide when; the bound is for a test that fails."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def warm_up(loop):
    """Descriptors that a loop opens once, when first needed, are no leak."""
    near, far = socket.socketpair()
    with far:
        near.setblocking(False)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, near)
        transport.abort()
        await loop.run_in_executor(None, near.close)


@pytest.fixture
async def nothing_is_left():
    """Whatever a test does: afterwards descriptors and tasks are as before, and nobody complained to the loop."""
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    await warm_up(loop)
    before, tasks = descriptors(), asyncio.all_tasks()
    yield
    await until(lambda: descriptors() <= before)
    await until(lambda: asyncio.all_tasks() <= tasks | {asyncio.current_task()})
    assert complaints == []


@pytest.fixture
async def serve(certificate, nothing_is_left):
    """`serve()` gives a started Listener whose routes echo; `.seen` lists (route, opening), `.port` is where it is."""
    started = []

    def start(sockets=None, *, tls=True, allow_plain=False, routes=None, shown=certificate, **limits):
        seen = []
        listener = Listener(
            sockets or listen_tcp("127.0.0.1", 0),
            routes or echoes(seen),
            tls=shown.context() if tls else None,
            limits=Limits(**limits),
            allow_plain=allow_plain,
        )
        listener.seen, listener.port = seen, listener.addresses[0].port
        listener.start()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await listener.close()

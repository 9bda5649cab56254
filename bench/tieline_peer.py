"""Tieline in the bench: a whole server with a typed method and a fed topic, and calls through its own client.

Logged-in links through the whole house, as guests: what a login proves is not on the way of a call.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import tieline
from tieline.client import Client
from tieline.rpc.topic import Topic
from tieline.store.writer import Commits
from tieline.transports.address import parse
from tieline.transports.tls import pin_of

from .certificate import Certificate

TOPIC = "bench"
FIRST_POSITION = 70_000
"Above 65,535 all positions take the same number of bytes, so that messages can be counted by bytes."


async def serve(
    tls: ssl.SSLContext | None,
    announce: Callable[..., None],
    certificate: Certificate | None = None,
    data: str | None = None,
) -> None:
    files = {"cert": certificate.cert, "key": certificate.key} if certificate else {}
    server = tieline.Server(data=data or ":memory:", guests=True, **files)
    topic = server.topics.add(Topic(TOPIC, position=FIRST_POSITION))
    commits = count_commits()

    @server.method("greet")
    def greet(name: str) -> str:
        return f"hello {name}"

    @server.method("bench.publish")
    async def publish(lines: AsyncIterator[str]) -> int:
        """Publishes what the caller streams: like a PUB of other protocols, no answer per message."""
        async for line in lines:
            topic.publish(line)
        return topic.position

    @server.method("bench.commits")
    def tell_commits() -> list[int]:
        return commits

    async with server.serving(f"{'tls' if certificate else 'tcp'}://127.0.0.1:0") as addresses:
        announce(parse(addresses[0]).port)
        await asyncio.Event().wait()


def count_commits() -> list[int]:
    """Transactions and rows so far, counted around the store's commit: the size of its batches is not public."""
    counted = [0, 0]
    commit = Commits.commit

    def counting(self: Commits, batch: list) -> object:
        counted[0] += 1
        counted[1] += len(batch)
        return commit(self, batch)

    Commits.commit = counting  # type: ignore[method-assign, assignment]
    return counted


class Calling:
    def __init__(self, peer: Client, stack: AsyncExitStack) -> None:
        self.peer = peer
        self.stack = stack

    def call(self, name: str) -> Awaitable[str]:
        return self.peer.call("greet", name=name)

    async def close(self) -> None:
        await self.stack.aclose()


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> Calling:
    stack = AsyncExitStack()
    return Calling(await stack.enter_async_context(dial(port, tls)), stack)


def dial(port: int, tls: ssl.SSLContext | None):
    """A connect() to the bench's server, with the pin of the certificate that `tls` trusts."""
    pin = pin_of(tls.get_ca_certs(binary_form=True)[0]) if tls else None
    return tieline.connect(f"{'tls' if tls else 'tcp'}://127.0.0.1:{port}", pin=pin)

"""Calls of a method on another machine, passed on by the server: three processes, caller, server and machine.

Server CPU is the server's and the machine's together, as it is the broker's and the responder's for NATS.
"""

import asyncio
import secrets
import ssl
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import tieline
from tieline.login.credential import new_key
from tieline.login.scram import make_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS
from tieline.transports.address import parse

from .certificate import Certificate
from .tieline_peer import Calling, dial

MACHINE = "machine"


async def serve(
    tls: ssl.SSLContext | None, announce: Callable[..., None], certificate: Certificate | None = None
) -> None:
    files = {"cert": certificate.cert, "key": certificate.key} if certificate else {}
    server = tieline.Server(data=":memory:", guests=True, **files)
    async with server.serving(f"{'tls' if certificate else 'tcp'}://127.0.0.1:0") as addresses:
        ticket = await server.invite("bench")
        machine = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.relayed_peer", ticket, addresses[0], stdout=asyncio.subprocess.PIPE
        )
        try:
            assert machine.stdout is not None
            assert (await machine.stdout.readline()).strip() == MACHINE.encode()
            announce(parse(addresses[0]).port, [machine.pid])
            await asyncio.Event().wait()
        finally:
            machine.terminate()
            await machine.wait()


class CallingMachine(Calling):
    async def call(self, name: str) -> str:
        return await self.peer.call(f"{MACHINE}/greet", name=name)


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> CallingMachine:
    stack = AsyncExitStack()
    return CallingMachine(await stack.enter_async_context(dial(port, tls)), stack)


async def machine(ticket: str, address: str) -> None:
    """Joins by the ticket and offers `greet`, over the transport that is measured."""
    handlers = tieline.Handlers()

    @handlers.method("greet")
    def greet(name: str) -> str:
        return f"hello {name}"

    key = new_key()
    verifier = await asyncio.to_thread(make_verifier, key, KEY_ITERATIONS, secrets.token_bytes)
    async with tieline.connect(ticket) as newcomer:
        await newcomer.call("accounts.enrol", device=MACHINE, verifier=verifier)
    pin = parse(ticket).pin if address.startswith("tls") else None
    async with tieline.connect(address, account="bench", device=MACHINE, key=key, pin=pin) as peer:
        print(await peer.serve(handlers), flush=True)
        await peer.over()


if __name__ == "__main__":
    import uvloop

    uvloop.run(machine(*sys.argv[1:]))

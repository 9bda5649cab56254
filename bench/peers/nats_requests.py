"""nats-server in the middle, nats-py on both sides: request and reply with JSON.

Server CPU is the broker's and the responder's together.
"""

import asyncio
import json
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from ..certificate import Certificate
from . import nats_server
from .streams import METHODS


async def answer(message: Msg) -> None:
    params = json.loads(message.data)
    await message.respond(json.dumps(METHODS[message.subject](**params)).encode())


async def serve(
    tls: ssl.SSLContext | None, announce: Callable[..., None], certificate: Certificate | None = None
) -> None:
    with tempfile.TemporaryDirectory() as folder, nats_server.start(Path(folder), certificate) as broker:
        client = await _dial(broker.port, certificate.client_context() if certificate else None)
        try:
            await client.subscribe("greet", cb=answer)
            await client.flush()
            announce(broker.port, broker.pids)
            await asyncio.Event().wait()
        finally:
            await client.close()


class Calling:
    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, name: str) -> str:
        reply = await self.client.request("greet", json.dumps({"name": name}).encode(), timeout=10)
        return json.loads(reply.data)

    async def close(self) -> None:
        await self.client.close()


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> Calling:
    return Calling(await _dial(port, tls))


async def _dial(port: int, tls: ssl.SSLContext | None) -> Client:
    options = {"tls": tls, "tls_hostname": "127.0.0.1"} if tls else {}
    return await nats.connect(f"{'tls' if tls else 'nats'}://127.0.0.1:{port}", **options)

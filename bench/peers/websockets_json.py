"""The websockets library (its asyncio implementation) with JSON. Compression is off: it costs on small messages."""

import asyncio
import itertools
import json
import ssl
from collections.abc import Callable
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed

from .streams import METHODS


async def answer(socket: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for text in socket:
            request = json.loads(text)
            result = METHODS[request["method"]](**request["params"])
            await socket.send(json.dumps({"id": request["id"], "result": result}))


async def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    async with serve_websocket(answer, "127.0.0.1", 0, ssl=tls, compression=None, backlog=1024) as server:
        announce(next(iter(server.sockets)).getsockname()[1])
        await server.serve_forever()


class OneAtATime:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.ids = itertools.count(1)

    async def call(self, name: str) -> str:
        await self.socket.send(json.dumps({"id": next(self.ids), "method": "greet", "params": {"name": name}}))
        return json.loads(await self.socket.recv())["result"]

    async def close(self) -> None:
        await self.socket.close()


class Multiplexed(OneAtATime):
    """A future per id, resolved by a task that reads."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self.waiting: dict[int, asyncio.Future[str]] = {}
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        async for text in self.socket:
            reply = json.loads(text)
            self.waiting.pop(reply["id"]).set_result(reply["result"])

    async def call(self, name: str) -> str:
        id = next(self.ids)
        future = self.waiting[id] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": id, "method": "greet", "params": {"name": name}}))
        return await future

    async def close(self) -> None:
        self.task.cancel()
        await super().close()


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> OneAtATime:
    address = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
    socket = await open_websocket(address, ssl=tls, compression=None, proxy=None)
    return (OneAtATime if in_flight == 1 else Multiplexed)(socket)

"""picows, a WebSocket library in C, with typed msgspec MessagePack: what a careful person builds for speed.

picows uses aiofastnet for its transports by default; so it does here.
"""

import asyncio
import itertools
import ssl
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

from .typed import METHODS, Greet, Reply, Request, decode_reply, decode_request, encode


class Answering(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
            return
        request = decode_request(frame.get_payload_as_memoryview())
        transport.send(WSMsgType.BINARY, encode(Reply(request.id, METHODS[request.method](request.params))))


async def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    server = await ws_create_server(lambda _: Answering(), "127.0.0.1", 0, ssl=tls, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


class Calling(WSListener):
    """A future per id, resolved where the frame arrives."""

    def __init__(self) -> None:
        self.ids = itertools.count(1)
        self.waiting: dict[int, asyncio.Future[str]] = {}
        self.loop = asyncio.get_running_loop()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            reply = decode_reply(frame.get_payload_as_memoryview())
            self.waiting.pop(reply.id).set_result(reply.result)

    async def call(self, name: str) -> str:
        id = next(self.ids)
        future = self.waiting[id] = self.loop.create_future()
        self.transport.send(WSMsgType.BINARY, encode(Request(id, "greet", Greet(name))))
        return await future

    async def close(self) -> None:
        self.transport.disconnect()


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> Calling:
    address = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
    _, listener = await ws_connect(Calling, address, ssl_context=tls)
    return listener

"""ZeroMQ by pyzmq, with typed msgspec MessagePack: a blocking ROUTER serves, asyncio's DEALERs call.

It has no TLS. Where others have it, this has ZeroMQ's own encryption, CURVE.
"""

import asyncio
import itertools
import ssl
from collections.abc import Callable

import zmq
import zmq.asyncio

from .typed import Greet, Request, answer, decode_reply, encode

SERVER_KEY = b"I-R3MBC*NYnfKHDi=oRJS<:.S2onf]py3HVV6tKb"
"A secret of nobody's: callers of this bench must know its public half."


def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    router = zmq.Context().socket(zmq.ROUTER)
    if tls:
        router.curve_server, router.curve_secretkey = True, SERVER_KEY
    announce(router.bind_to_random_port("tcp://127.0.0.1"))
    while True:
        caller, body = router.recv_multipart()
        router.send_multipart((caller, answer(body)))


class OneAtATime:
    """Send, then receive the answer."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self.socket = socket
        self.ids = itertools.count(1)

    async def call(self, name: str) -> str:
        await self.socket.send(encode(Request(next(self.ids), "greet", Greet(name))))
        return decode_reply(await self.socket.recv()).result

    async def close(self) -> None:
        self.socket.close(0)


class Multiplexed(OneAtATime):
    """A future per id, resolved by a task that receives."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        super().__init__(socket)
        self.waiting: dict[int, asyncio.Future[str]] = {}
        self.task = asyncio.create_task(self.receive())

    async def receive(self) -> None:
        while True:
            reply = decode_reply(await self.socket.recv())
            self.waiting.pop(reply.id).set_result(reply.result)

    async def call(self, name: str) -> str:
        id = next(self.ids)
        future = self.waiting[id] = asyncio.get_running_loop().create_future()
        await self.socket.send(encode(Request(id, "greet", Greet(name))))
        return await future

    async def close(self) -> None:
        self.task.cancel()
        await super().close()


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> OneAtATime:
    socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
    if tls:
        socket.curve_serverkey = zmq.curve_public(SERVER_KEY)
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.connect(f"tcp://127.0.0.1:{port}")
    return (OneAtATime if in_flight == 1 else Multiplexed)(socket)

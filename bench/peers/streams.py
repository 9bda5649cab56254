"""asyncio streams with a length prefix and JSON, as people write it by hand."""

import asyncio
import itertools
import json
import ssl
from collections.abc import Callable


async def read_message(reader: asyncio.StreamReader) -> dict:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return json.loads(await reader.readexactly(size))


async def write_message(writer: asyncio.StreamWriter, message: dict) -> None:
    body = json.dumps(message).encode()
    writer.write(len(body).to_bytes(4, "big") + body)
    await writer.drain()


def greet(name: str) -> str:
    return f"hello {name}"


METHODS = {"greet": greet}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            request = await read_message(reader)
            result = METHODS[request["method"]](**request["params"])
            await write_message(writer, {"id": request["id"], "result": result})
    except asyncio.IncompleteReadError:
        writer.close()


async def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


class OneAtATime:
    """Write, then read the answer: all that is needed when calls do not overlap."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ids = itertools.count(1)

    async def call(self, name: str) -> str:
        request = {"id": next(self.ids), "method": "greet", "params": {"name": name}}
        await write_message(self.writer, request)
        return (await read_message(self.reader))["result"]

    async def close(self) -> None:
        self.writer.close()


class Multiplexed(OneAtATime):
    """A future per id, resolved by a task that reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.waiting: dict[int, asyncio.Future[str]] = {}
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        while True:
            reply = await read_message(self.reader)
            self.waiting.pop(reply["id"]).set_result(reply["result"])

    async def call(self, name: str) -> str:
        id = next(self.ids)
        future = self.waiting[id] = asyncio.get_running_loop().create_future()
        await write_message(self.writer, {"id": id, "method": "greet", "params": {"name": name}})
        return await future

    async def close(self) -> None:
        self.task.cancel()
        self.writer.close()


async def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> OneAtATime:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    return (OneAtATime if in_flight == 1 else Multiplexed)(reader, writer)

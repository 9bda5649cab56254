"""A network that alters: forwards TCP byte for byte, but for single bytes of lanes, which come out different."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tieline.wire.lane import PREFACE


class Altering:
    """`at` are the bytes to alter, counted over all lanes in one direction; `altered` says how many were."""

    def __init__(self, port: int, *, up: list[int] | None = None, down: list[int] | None = None) -> None:
        self.port = 0
        self.altered = 0
        self._target = port
        self._at = {"up": sorted(up or []), "down": sorted(down or [])}
        self._passed = {"up": 0, "down": 0}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Altering"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            first = await reader.read(1 << 16)
            is_lane = first.startswith(PREFACE[:1])
            far_writer.write(first)
            await asyncio.gather(
                self._forward(reader, far_writer, "up" if is_lane else ""),
                self._forward(far_reader, writer, "down" if is_lane else ""),
            )
        finally:
            self._tasks.discard(task)
            writer.close()
            far_writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(self._alter(data, direction) if direction else data)
                await writer.drain()
        writer.close()

    def _alter(self, data: bytes, direction: str) -> bytes:
        begin = self._passed[direction]
        self._passed[direction] += len(data)
        while self._at[direction] and self._at[direction][0] < self._passed[direction]:
            at = self._at[direction].pop(0) - begin
            data = data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]
            self.altered += 1
        return data

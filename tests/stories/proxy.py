"""A network that breaks: forwards TCP byte for byte, counts, and tears everything after exactly so many bytes."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET

UP, DOWN = "to the server", "to the client"
_RESET = struct.pack("ii", 1, 0)


class Cut:
    """Tear when `after` bytes have passed in `direction`; with a reset, as a crash does, or with an end."""

    def __init__(self, direction: str, after: int, *, reset: bool = False) -> None:
        self.direction = direction
        self.left = after
        self.reset = reset
        self.done = False


class Proxy:
    """`passed` counts the bytes of all connections by direction, `connections` how many there were."""

    def __init__(self, port: int) -> None:
        self.passed = {UP: 0, DOWN: 0}
        self.connections = 0
        self.port = 0
        self._target = port
        self._cuts: list[Cut] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def arm(self, *cuts: Cut) -> None:
        """Tear like this: the first from now on, the next from the connection on that follows, and so on."""
        self._cuts = list(cuts)
        self._tear_when_due()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._tear(reset=False)
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except OSError:
            writer.close()  # the server is not there
        finally:
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self.connections += 1
        self._open |= {writer, far_writer}
        self._tear_when_due()
        both = (self._forward(reader, far_writer, UP), self._forward(far_reader, writer, DOWN))
        try:
            await asyncio.gather(*both)
        finally:
            self._open -= {writer, far_writer}
            writer.close()
            far_writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                for cut in self._cuts[:1]:
                    if cut.direction == direction:
                        data = data[: cut.left]
                        cut.left -= len(data)
                self.passed[direction] += len(data)
                writer.write(data)
                self._tear_when_due()
                await writer.drain()
        writer.close()

    def _tear_when_due(self) -> None:
        if self._cuts and self._cuts[0].left <= 0 and self._open:
            cut = self._cuts.pop(0)
            cut.done = True
            self._tear(cut.reset)

    def _tear(self, reset: bool) -> None:
        for writer in self._open:
            if reset and not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
            writer.close()  # what was let through still arrives before the end
        self._open.clear()

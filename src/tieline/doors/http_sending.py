"""The bytes of an open file as the body of an answer: by the kernel where that can be, else a piece at a time.

Each piece has a deadline, and before each it is asked whether the caller may still have it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tieline.limits import MiB

PIECE = MiB
"Bytes between two looks at the caller's right, and read at once where the kernel cannot send by itself."

Read = Callable[[int, int, int], Awaitable[bytes]]
"read(fd, size, offset), in a thread"
Allowed = Callable[[], Awaitable[bool]]


class CutError(ConnectionError):
    """The answer ends here, before its end: the connection is closed, so that nobody takes it for whole."""


class EndedError(CutError):
    """The same, because the caller may not go on."""


class Body:
    """The bytes from `start` to before `stop` of the open file `fd`, which stays the caller's. `stall`: the seconds a
    client may take for one piece."""

    def __init__(self, fd: int, start: int, stop: int, *, read: Read, allowed: Allowed, stall: float) -> None:
        self._fd = fd
        self._offset = start
        self._stop = stop
        self._read = read
        self._allowed = allowed
        self._stall = stall
        self._kernel = True

    async def send(self, request: web.Request, response: web.StreamResponse) -> None:
        """Headers, then bytes. Raises CutError, or another ConnectionError when the client is gone."""
        response.content_length = self._stop - self._offset
        await response.prepare(request)
        if request.method != "HEAD":
            self._kernel = _has_kernel(request)
            with os.fdopen(self._fd, "rb", buffering=0, closefd=False) as file:
                while self._offset < self._stop:
                    await self._piece(request, response, file)
        await response.write_eof()

    async def _piece(self, request: web.Request, response: web.StreamResponse, file: Any) -> None:
        size = min(PIECE, self._stop - self._offset)
        try:
            async with asyncio.timeout(self._stall):
                sent = await self._by_kernel(request, file, size) if self._kernel else 0
                if not self._kernel:
                    sent = await self._copy(response, size)
        except TimeoutError:
            raise CutError("the client takes nothing more") from None
        if not sent:
            raise CutError("the file became shorter while it was sent")
        self._offset += sent
        if self._offset < self._stop and not await self._allowed():
            raise EndedError("the token is good no more")

    async def _by_kernel(self, request: web.Request, file: Any, size: int) -> int:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise CutError("the client is gone")
        try:
            return await asyncio.get_running_loop().sendfile(transport, file, self._offset, size, fallback=False)
        except (NotImplementedError, RuntimeError):  # uvloop has it, and says so only when it is called
            self._kernel = False
            return 0

    async def _copy(self, response: web.StreamResponse, size: int) -> int:
        data = await self._read(self._fd, size, self._offset)
        if data:
            await response.write(data)
        return len(data)


def _has_kernel(request: web.Request) -> bool:
    """Over TLS the bytes have to be encrypted here."""
    transport = request.transport
    return transport is not None and transport.get_extra_info("ssl_object") is None

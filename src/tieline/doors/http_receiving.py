"""The body of a request, handed on piece by piece while it comes. Each piece has a deadline.

A client that asks first (Expect: 100-continue, as curl does) is told to go on only when its file would be taken.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tieline.doors.http_sending import Allowed, CutError, EndedError
from tieline.limits import MiB

PIECE = MiB
"Bytes handed on at once."


async def expected(request: web.Request) -> None:
    """For routes whose handler calls `receive`: the answer to an Expect header waits until then."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed


async def receive(
    request: web.Request, write: Callable[[bytes], Awaitable[None]], *, allowed: Allowed, stall: float
) -> None:
    """Give the whole body to `write`, which is at the one piece while the next comes; a piece may take `stall` seconds.

    Raises CutError, what `write` raises, or another ConnectionError when the client leaves before its end.
    """
    if "Expect" in request.headers and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    writing: asyncio.Task[None] | None = None
    try:
        while piece := await _piece(request, stall):
            if writing is not None:
                await writing
            writing = asyncio.create_task(_write(write, piece))
            if not await allowed():
                raise EndedError("the token is good no more")
        if writing is not None:
            await writing
    finally:
        if writing is not None and not writing.done():
            writing.cancel()


async def _piece(request: web.Request, stall: float) -> bytes:
    """The next bytes, as many as come at once or make a piece; empty at the end."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(stall):
            while size < PIECE:
                part = await request.content.readany()
                if not part:
                    break
                parts.append(part)
                size += len(part)
    except TimeoutError:
        raise CutError("the client sends nothing more") from None
    return b"".join(parts)


async def _write(write: Callable[[bytes], Awaitable[None]], piece: bytes) -> None:
    await write(piece)

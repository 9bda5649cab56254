"""A lane within a call, for a machine that has no port of its own: the same bytes, as a stream each way.

Both ends see a socket, so whoever serves and whoever uses lanes need not know. The call's credit holds the sender back,
and the end of either side ends the other: a lane that is over ends the call, a call that breaks cuts the lane.
"""

import asyncio
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import suppress

from tieline.errors import TielineError
from tieline.lanes.connection import Lane
from tieline.lanes.dial import show
from tieline.limits import KiB, Limits
from tieline.rpc.caller import Caller

_PIECE = 256 * KiB
"Bytes read from the socket at once, and sent as one frame."


async def carried(up: AsyncIterable[bytes], sock: socket.socket) -> AsyncIterator[bytes]:
    """What comes `up` goes into the socket, and what comes out of it is given; until the socket's other end is closed.
    The socket is ours from here on."""
    reader, writer = await asyncio.open_connection(sock=sock, limit=_PIECE)
    feeding = asyncio.create_task(_feed(up, writer))
    try:
        while piece := await _piece(reader):
            yield piece
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def taken(up: AsyncIterable[bytes], take: Callable[[socket.socket, bool], None]) -> AsyncIterator[bytes]:
    """The serving end: `take` is what a lane server does with a plain socket."""
    near, far = socket.socketpair()
    take(far, False)
    async for piece in carried(up, near):
        yield piece


def dial_through(peer: Caller, method: str, token: bytes, loop: asyncio.AbstractEventLoop, limits: Limits) -> Lane:
    """An open lane by way of this method, whose token that machine gave: blocking, for the thread that will use it.
    Raises what the call raises, and what the other side says."""
    near, far = socket.socketpair()
    lane = Lane(near, limits)
    calling: Future[None] = asyncio.run_coroutine_threadsafe(_call(peer, method, far, lane), loop)
    calling.add_done_callback(lambda _: far.close())  # also when it was cancelled before it began
    try:
        show(lane, token, limits.opening)
        return lane
    except BaseException:  # whatever it was: nobody else has the lane yet
        lane.close()
        calling.cancel()
        raise


async def _call(peer: Caller, method: str, sock: socket.socket, lane: Lane) -> None:
    """The call, for as long as the lane is used; what ends it is raised by the lane."""
    reader, writer = await asyncio.open_connection(sock=sock, limit=_PIECE)
    try:
        async for piece in peer.stream(method, up=_pieces(reader)):
            writer.write(piece)
            await writer.drain()
    except TielineError as error:
        lane.stop(error)
    except OSError:
        pass  # the lane was closed on this side
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _feed(up: AsyncIterable[bytes], writer: asyncio.StreamWriter) -> None:
    try:
        async for piece in up:
            writer.write(piece)
            await writer.drain()
    except (TielineError, OSError):
        writer.close()  # the caller is gone, and its lane with it
    else:
        with suppress(OSError):
            writer.write_eof()


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await _piece(reader):
        yield piece


async def _piece(reader: asyncio.StreamReader) -> bytes:
    """The next bytes; empty at the end, however it came."""
    try:
        return await reader.read(_PIECE)
    except OSError:
        return b""

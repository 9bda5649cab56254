"""A connected socket becomes a TLS transport of the running loop, by aiofastnet: OpenSSL itself reads and writes the
socket, where the loops' own TLS carries each record through two buffers more; a small call over TLS costs half as much.

Plain sockets are left to the loops: uvloop's are as fast, and hold less memory.

A reset that arrives together with bytes is told by uvloop once, and aiofastnet 1.2 then reads only the bytes: such a
peer is found gone at the next write to it, which is an answer or a ping.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable
from typing import Any, TypeVar

from tieline.transports.tls import SHUTDOWN_TIMEOUT

_T = TypeVar("_T")


async def accept_tls(
    protocol: asyncio.BaseProtocol, sock: socket.socket, context: ssl.SSLContext, handshake: float
) -> asyncio.Transport:
    """The server's side, once the handshake is done; `handshake` in seconds. Closes the socket and raises OSError."""
    from aiofastnet import connect_accepted_socket  # not above: who dials no TLS need not wait for the import

    if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # else noticed at the deadline only, see above
        sock.close()
        raise OSError(error, os.strerror(error))
    transport, _ = await _settled(
        connect_accepted_socket(
            _loop(),
            lambda: protocol,
            sock,
            ssl=context,
            ssl_handshake_timeout=handshake,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
        ),
        sock,
    )
    return transport


async def dial_tls(
    protocol: asyncio.BaseProtocol, sock: socket.socket, context: ssl.SSLContext, server_name: str
) -> None:
    """The client's side, once the handshake is done. Closes the socket and raises OSError; so when cancelled."""
    from aiofastnet import create_connection

    await _settled(
        create_connection(
            _loop(),
            lambda: protocol,
            sock=sock,
            ssl=context,
            server_hostname=server_name,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
        ),
        sock,
    )


async def _settled(handshake: Awaitable[_T], sock: socket.socket) -> _T:
    try:
        return await handshake
    except BaseException:
        # A transport that comes to nothing closes its socket in the next turn, and nobody else may before; unless the
        # peer's reset was there before the transport, which then leaves the socket alone.
        await asyncio.sleep(0)
        sock.close()
        raise


class _Loop:
    """The loop as aiofastnet sees it. Who hangs up during the handshake is no fault to be logged with a traceback,
    as aiofastnet 1.2 does: it means to tell such errors of the network by their class, and here gives the class."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if context.get("exception") is not ConnectionResetError:
            self._loop.call_exception_handler(context)


def _loop() -> Any:
    return _Loop(asyncio.get_running_loop())

"""A connected socket becomes a TLS transport: from the socket to the end of the handshake, or of the socket."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable

from tieline.transports.tls_transport import TlsTransport


async def accept_tls(
    protocol: asyncio.BaseProtocol, sock: socket.socket, context: ssl.SSLContext, seconds: float
) -> asyncio.Transport:
    """The server's side of a handshake that may take so long. Raises OSError and closes the socket; so if cancelled."""
    tls = TlsTransport(protocol, context)
    await _shaken(tls, sock, asyncio.get_running_loop().connect_accepted_socket(tls.wire, sock), seconds)
    return tls


async def dial_tls(
    protocol: asyncio.BaseProtocol, sock: socket.socket, context: ssl.SSLContext, name: str, seconds: float
) -> asyncio.Transport:
    """The client's side; `name` is the server's, for its certificate."""
    try:
        # Bytes: for text Python loads tables of Unicode first.
        tls = TlsTransport(protocol, context, name.encode() if name.isascii() else name)
    except BaseException:  # not every name can be one
        sock.close()
        raise
    await _shaken(tls, sock, asyncio.get_running_loop().create_connection(tls.wire, sock=sock), seconds)
    return tls


async def _shaken(tls: TlsTransport, sock: socket.socket, connecting: Awaitable[object], seconds: float) -> None:
    # Half connected nothing can be cancelled or closed: uvloop would forget the socket. It is over in a turn or two.
    connected = asyncio.ensure_future(connecting)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(connected)
            await tls.made
    except BaseException:  # cancelled too: nobody else has the socket yet
        tls.forget()
        if connected.done():
            tls.give_up(sock)
        else:
            connected.add_done_callback(lambda _: tls.give_up(sock))
        raise

"""The ceiling for fan-out in Python: no login, no topics; what one read brings goes to everybody in one write each.

Every fan-out contender offers these: start, subscribe, publisher, publish, delivered, WINDOW.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

from ..certificate import Certificate
from ..processes import Server, start_python
from .dialling import dial, read_until, secure

WINDOW = 2048
"Messages that may be under way to each subscriber at once. The largest that loses nothing and costs no rate."

_LENGTH = struct.Struct("!I")


def start(folder: Path, certificate: Certificate | None) -> Server:
    return start_python("coalescing", *(["--tls", str(certificate.cert.parent)] if certificate else []))


def subscribe(port: int, tls: ssl.SSLContext | None, index: int) -> socket.socket:
    """A blocking socket that is logged in and subscribed, with nothing unread that matters."""
    sock = secure(dial(port), tls)
    sock.sendall(b"S")
    read_until(sock, b"+")
    return sock


def publisher(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """A blocking socket that may publish."""
    sock = secure(dial(port), tls)
    sock.sendall(b"P")
    read_until(sock, b"+")
    return sock


def publish(payload: bytes, first: int, count: int) -> bytes:
    """What the publisher sends for messages number `first` to `first + count - 1`."""
    return (_LENGTH.pack(len(payload)) + payload) * count


def delivered(payload: bytes) -> int:
    """Bytes each subscriber receives for one message."""
    return 4 + len(payload)


class Link(asyncio.BufferedProtocol):
    subscribers: set[asyncio.WriteTransport] = set()  # noqa: RUF012
    buffer = memoryview(bytearray(256 * 1024))

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.role = b""
        self.rest = b""

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self.buffer[:nbytes])
        if not self.role:
            self.role, data = data[:1], data[1:]
            if self.role == b"S":
                self.subscribers.add(self.transport)
            self.transport.write(b"+")
        if self.role == b"P":
            self.forward(self.rest + data)

    def forward(self, data: bytes) -> None:
        end = 0
        while end + 4 <= len(data) and (after := end + 4 + _LENGTH.unpack_from(data, end)[0]) <= len(data):
            end = after
        whole, self.rest = data[:end], data[end:]
        if whole:
            for transport in self.subscribers:
                transport.write(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        self.subscribers.discard(self.transport)


async def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    server = await asyncio.get_running_loop().create_server(Link, "127.0.0.1", 0, ssl=tls, backlog=1024)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()

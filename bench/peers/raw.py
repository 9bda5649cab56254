"""The floor: blocking sockets, a length prefix, one thread per connection, bytes in and bytes out.

One buffered receive per message: when the whole message is there, that is one system call, as lean as Python gets.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Callable

from .dialling import dial, secure

_LENGTH = struct.Struct("!I")


class Framed:
    """Length-prefixed messages over a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    def send(self, message: bytes) -> None:
        self._sock.sendall(_LENGTH.pack(len(message)) + message)

    def receive(self) -> bytes | None:
        """The next message, or None when the peer has closed."""
        buffer = self._buffer
        while len(buffer) < 4 or len(buffer) < 4 + _LENGTH.unpack_from(buffer)[0]:
            data = self._sock.recv(65536)
            if not data:
                return None
            buffer = buffer + data if buffer else data
        end = 4 + _LENGTH.unpack_from(buffer)[0]
        self._buffer = buffer[end:]
        return buffer[4:end]

    def call(self, name: str) -> str:
        self.send(name.encode())
        reply = self.receive()
        if reply is None:
            raise ConnectionError("the server closed")
        return reply.decode()

    def close(self) -> None:
        self._sock.close()


def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    announce(listener.getsockname()[1])
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_answer, args=(sock, tls), daemon=True).start()


def _answer(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link = Framed(tls.wrap_socket(sock, server_side=True) if tls else sock)
    while (name := link.receive()) is not None:
        link.send(b"hello " + name)
    link.close()


def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> Framed:
    sock = secure(dial(port), tls)
    sock.settimeout(None)  # a timeout costs a poll() before every receive
    return Framed(sock)

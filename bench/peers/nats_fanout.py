"""nats-server, core publish and subscribe (no JetStream), spoken as its client protocol documents it."""

import socket
import ssl

from .dialling import dial, read_until, secure
from .nats_server import start

__all__ = ["WINDOW", "delivered", "publish", "publisher", "start", "subscribe"]

WINDOW = 8192
"A tenth faster here than with 2048."


def subscribe(port: int, tls: ssl.SSLContext | None, index: int) -> socket.socket:
    sock = publisher(port, tls)
    sock.sendall(b"SUB bench 1\r\nPING\r\n")
    read_until(sock, b"PONG\r\n")
    return sock


def publisher(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    sock = dial(port)
    read_until(sock, b"\r\n")  # INFO comes in plain text; TLS begins after it
    sock = secure(sock, tls)
    sock.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1"}\r\nPING\r\n')
    read_until(sock, b"PONG\r\n")
    return sock


def publish(payload: bytes, first: int, count: int) -> bytes:
    return b"PUB bench %d\r\n%b\r\n" % (len(payload), payload) * count


def delivered(payload: bytes) -> int:
    return len(b"MSG bench 1 %d\r\n%b\r\n" % (len(payload), payload))

"""A blocking connection, and one that waits for what the server must say first."""

import socket
import ssl


def dial(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def secure(sock: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return tls.wrap_socket(sock, server_hostname="127.0.0.1") if tls else sock


def read_until(sock: socket.socket, marker: bytes) -> bytes:
    """Everything up to and including the read in which the marker came."""
    got = b""
    while marker not in got:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError(f"closed before {marker!r} came; said {got[-200:]!r}")
        got += data
    return got

"""A guest that calls one method of a server on this machine, with a socket and MessagePack alone."""

import socket
import struct
import sys
from typing import Any

import msgspec

HEADER = struct.Struct("!IBI")
HELLO, AUTH, WELCOME, CALL, RESULT = 1, 2, 3, 4, 5


def send(sock: socket.socket, kind: int, channel: int, value: Any) -> None:
    payload = msgspec.msgpack.encode(value)
    sock.sendall(HEADER.pack(len(payload), kind, channel) + payload)


def receive(stream: Any) -> tuple[int, int, Any]:
    length, kind, channel = HEADER.unpack(stream.read(HEADER.size))
    return kind, channel, msgspec.msgpack.decode(stream.read(length))


def main(host: str, port: int) -> None:
    with socket.create_connection((host, port)) as sock, sock.makefile("rb") as stream:
        sock.sendall(b"\xf7tieline/1\n")
        send(sock, HELLO, 0, [[1], "bare", 1 << 20, 1 << 18])
        assert stream.read(11) == b"\xf7tieline/1\n"
        kind, _, hello = receive(stream)
        assert kind == HELLO, hello
        assert "ANONYMOUS" in hello[4], "the server takes no guests"
        send(sock, AUTH, 0, ["ANONYMOUS", b"bare"])
        kind, _, welcome = receive(stream)
        assert kind == WELCOME, welcome
        send(sock, CALL, 1, ["echo.upper", {"text": "hello"}])
        kind, _, value = receive(stream)
        assert kind == RESULT, value
        print(value)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""The least there could be: one blocking TLS connection in Python, a file read at one end and written at the other.

`python -m bench.files_floor serve|client …`. A name that begins with "memory:" and its size is read from nowhere and
written nowhere. The clock runs from the request until the receiver has said that it has everything.
"""

import json
import os
import socket
import ssl
import struct
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from .certificate import Certificate

PIECE = 256 * 1024
REQUEST = struct.Struct("!cQ256s")


def send(sock: ssl.SSLSocket, path: str, size: int) -> None:
    buffer = memoryview(bytearray(PIECE))
    if path.startswith("memory"):
        while size:
            sock.sendall(buffer[: min(size, PIECE)])
            size -= min(size, PIECE)
    else:
        with open(path, "rb", buffering=0) as file:
            while got := file.readinto(buffer):
                sock.sendall(buffer[:got])


def receive(sock: ssl.SSLSocket, path: str, size: int) -> None:
    buffer = memoryview(bytearray(PIECE))
    with ExitStack() as stack:
        file = None if path.startswith("memory") else stack.enter_context(open(path, "wb", buffering=0))
        while size:
            got = sock.recv_into(buffer, min(size, PIECE))
            if not got:
                raise EOFError
            size -= got
            if file is not None:
                file.write(buffer[:got])


def exactly(sock: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        got = sock.recv(size - len(data))
        if not got:
            raise EOFError
        data += got
    return data


def size_of(path: str) -> int:
    return int(path.partition(":")[2]) if path.startswith("memory:") else os.stat(path).st_size


def serve(folder: Path, certificate: Certificate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = certificate.server_context().wrap_socket(plain, server_side=True)
        while True:
            way, size, name = REQUEST.unpack(exactly(sock, REQUEST.size))
            path = name.rstrip(b"\0").decode()
            path = path if path.startswith("memory") else str(folder / "files" / path)
            if way == b"p":
                receive(sock, path, size)
                sock.sendall(b"k")
            else:
                sock.sendall(struct.pack("!Q", size_of(path)))
                send(sock, path, size_of(path))


def client(certificate: Certificate, port: int) -> None:
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock = certificate.client_context().wrap_socket(plain, server_hostname="127.0.0.1")
    print("{}", flush=True)
    for line in sys.stdin:
        what, source, target = json.loads(line)
        began = time.perf_counter()
        if what == "put":
            size = size_of(source)
            sock.sendall(REQUEST.pack(b"p", size, target.encode()))
            send(sock, source, size)
            exactly(sock, 1)
        else:
            sock.sendall(REQUEST.pack(b"g", 0, source.encode()))
            (size,) = struct.unpack("!Q", exactly(sock, 8))
            receive(sock, target, size)
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    what, folder, certificate, *rest = sys.argv[1:]
    try:
        if what == "serve":
            serve(Path(folder), Certificate.at(certificate))
        else:
            client(Certificate.at(certificate), json.loads(rest[0])["port"])
    except EOFError:
        pass

"""RPyC: a threaded server with one exposed method, and a thread for each caller, who waits for the answer."""

import socket
import ssl
from collections.abc import Callable

import rpyc
from rpyc.core.stream import SocketStream
from rpyc.utils.server import ThreadedServer

from .dialling import dial, secure


class Greeter(rpyc.Service):
    def exposed_greet(self, name: str) -> str:
        return f"hello {name}"


def serve(tls: ssl.SSLContext | None, announce: Callable[..., None]) -> None:
    def secured(sock: socket.socket) -> tuple[socket.socket, None]:
        assert tls is not None
        return tls.wrap_socket(sock, server_side=True), None

    server = ThreadedServer(Greeter, hostname="127.0.0.1", port=0, backlog=1024, authenticator=secured if tls else None)
    announce(server.port)
    server.start()


class Calling:
    def __init__(self, connection: rpyc.Connection) -> None:
        self._connection = connection
        self.call: Callable[[str], str] = connection.root.greet

    def close(self) -> None:
        self._connection.close()


def connect(port: int, tls: ssl.SSLContext | None, in_flight: int) -> Calling:
    sock = secure(dial(port), tls)
    sock.settimeout(None)
    return Calling(rpyc.connect_stream(SocketStream(sock)))

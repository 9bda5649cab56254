"""A TLS client that changes its keys again and again, and asks for the other side's, which `ssl` has no name for."""

import _ssl
import ctypes
import socket
import ssl

from tieline.limits import KiB
from tieline.transports.tls import client_context


def ask_for_keys(tls: ssl.SSLObject, *, asked: bool = True) -> None:
    """With its next words it changes its keys; `asked`: and asks for the other side's."""
    # PySSLSocket: the object's head, the socket, then the SSL *.
    at = id(tls._sslobj) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)  # type: ignore[attr-defined]
    assert ctypes.CDLL(_ssl.__file__).SSL_key_update(ctypes.c_void_p.from_address(at), int(asked)) == 1


class KeyUpdates:
    """Over a connected socket, after its handshake; it reads nothing any more then."""

    def __init__(self, sock: socket.socket, alpn: str) -> None:
        incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context("0" * 64, [alpn]).wrap_bio(incoming, self._outgoing)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(self._outgoing.read())
                incoming.write(sock.recv(64 * KiB))
        sock.sendall(self._outgoing.read())

    def more(self, data: bytes = b"", *, asked: bool = True) -> bytes:
        """What to send for one more, with some data behind it; `asked`: an answer is due."""
        ask_for_keys(self.tls, asked=asked)
        if data:
            self.tls.write(data)
        else:
            self.tls.do_handshake()
        return self._outgoing.read()

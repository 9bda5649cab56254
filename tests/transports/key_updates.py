"""A TLS client that changes its keys again and again, and asks for the other side's, which `ssl` has no name for."""

import _ssl
import ctypes
import socket
import ssl

from tieline.limits import KiB
from tieline.transports.tls import client_context


class KeyUpdates:
    """Over a connected socket, after its handshake; it reads nothing any more then."""

    def __init__(self, sock: socket.socket, alpn: str) -> None:
        self._openssl = ctypes.CDLL(_ssl.__file__)
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
        # PySSLSocket: the object's head, the socket, then the SSL *.
        at = id(self.tls._sslobj) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)  # type: ignore[attr-defined]
        self._handle = ctypes.c_void_p.from_address(at)

    def more(self, data: bytes = b"", *, asked: bool = True) -> bytes:
        """What to send for one more, with some data behind it; `asked`: an answer is due."""
        assert self._openssl.SSL_key_update(self._handle, int(asked)) == 1
        if data:
            self.tls.write(data)
        else:
            self.tls.do_handshake()
        return self._outgoing.read()

"""TLS over a lane's socket: for the handshake and the first words, which agree on the keys of all that follows.

It works on memory, so that nothing is received that cannot be given back: what comes behind the first words is no TLS
any more.
"""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from tieline.errors import ProtocolError
from tieline.limits import KiB
from tieline.transports.tls import KEY_UPDATE_ANSWERS

_RECEIVED = 16 * KiB
"Bytes received at once: a record."


class Tls:
    """A Carrier over a connected socket, which stays the caller's to close. `handshake` first, in a thread that may
    wait."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server: bool, name: str | None = None) -> None:
        self.sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        self._unseal = cast(Callable[[int, memoryview], int], self.tls.read)
        self._unsent = memoryview(b"")

    def handshake(self, seconds: float) -> None:
        """Within so many seconds, however slowly its bytes come. Raises OSError, of which ssl.SSLError is one."""
        until = time.monotonic() + seconds
        while not self._shaken():
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError("the TLS handshake took too long")
            self.sock.settimeout(left)
            self.flush()
            if not self._receive():
                raise ConnectionResetError("closed during the TLS handshake")
        self.flush()
        self.sock.setblocking(False)

    def send(self, data: memoryview) -> int:
        self.flush()
        size = self.tls.write(data)
        with suppress(BlockingIOError):
            self.flush()
        return size

    def flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            self._unsent = self._unsent[self.sock.send(self._unsent) :]

    def read(self, view: memoryview) -> int:
        received = False
        while True:
            try:
                return self._unseal(len(view), view)
            except ssl.SSLWantReadError:
                if self._outgoing.pending > KEY_UPDATE_ANSWERS:
                    raise ConnectionAbortedError("it asks for new keys again and again, and says nothing") from None
                if received:  # and nothing of it was for us: whoever waits shall look at his deadline
                    raise BlockingIOError from None
                if not self._receive():
                    return 0
                received = True
            except ssl.SSLError:
                self._answer()
                raise

    def pending(self) -> bool:
        return bool(self.tls.pending() or self._incoming.pending)

    def begun(self) -> bool:
        return False  # all that comes in TLS has one deadline, that of opening

    def rest(self) -> bytes:
        """What has come behind the last word in TLS. Raises ProtocolError when there is another."""
        if self.tls.pending():
            raise ProtocolError("more was said in TLS than opens a lane")
        return self._incoming.read()

    # -- inside --------------------------------------------------------------------------------------------------

    def _shaken(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            self._answer()
            raise
        return True

    def _receive(self) -> int:
        data = self.sock.recv(_RECEIVED)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return len(data)

    def _answer(self) -> None:
        """What TLS itself has to say: why it ends, or that a key was changed."""
        with suppress(OSError):
            self.flush()

"""What carries a lane's bytes: a plain socket, or TLS over one. Neither ever waits, but for the handshake.

TLS here works on memory, and the socket is read and written in long pieces: an SSLSocket asks the system for each
record, once to send it and twice to receive it, which costs a sixth of all there is to do. An end of the stream is the
end of the lane whether TLS said goodbye or not: what belongs together says so itself, by its lengths and its End.
"""

import mmap
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, cast

from tieline.limits import KiB

_SEALED = 128 * KiB
"Bytes sealed and sent in one piece: many records, and all of it still near the processor."
_RECEIVED = 256 * KiB
"Bytes received in one piece. Both are memory that each lane holds, two to three times over."


class Carrier(Protocol):
    """BlockingIOError is raised by what would have to wait; other OSErrors are the connection's end."""

    sock: socket.socket

    def send(self, data: memoryview) -> int:
        """Take over the first of it, and say how many bytes that was; some may still lie here, until `flush`."""

    def flush(self) -> None:
        """Send all that lies here."""

    def read(self, view: memoryview) -> int:
        """What is here into the view, as much as it holds; 0 at the end."""

    def pending(self) -> bool:
        """Whether something was received and not read, so that the socket says nothing of it."""


class Plain:
    """A connected socket as it is."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.send = sock.send

    def flush(self) -> None:
        """Nothing lies here."""

    def read(self, view: memoryview) -> int:
        return self.sock.recv_into(view)

    def pending(self) -> bool:
        return False


class Sealed:
    """TLS over a connected socket, which stays the caller's to close. `handshake` first, in a thread that may wait."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server: bool, name: str | None = None) -> None:
        self.sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        self._unseal = cast(Callable[[int, memoryview], int], self.tls.read)
        self._received = memoryview(mmap.mmap(-1, _RECEIVED))  # takes room only as far as it is used
        self._unsent = memoryview(b"")
        self._over = False
        "The other side said goodbye."

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
        size = self.tls.write(data[:_SEALED])
        with suppress(BlockingIOError):
            self.flush()
        return size

    def flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            self._unsent = self._unsent[self.sock.send(self._unsent) :]

    def read(self, view: memoryview) -> int:
        while not (done := self._unsealed(view)):
            if self._over or not self._receive():
                return 0
        return done

    def pending(self) -> bool:
        return bool(self.tls.pending() or self._incoming.pending)

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

    def _unsealed(self, view: memoryview) -> int:
        """What was received, record by record, as much as the view holds."""
        unseal, done, size = self._unseal, 0, len(view)
        try:
            while done < size:
                if not (got := unseal(size - done, view[done:])):
                    self._over = True
                    break
                done += got
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._answer()
            if not done:  # else it is met again
                raise
        return done

    def _receive(self) -> int:
        got = self.sock.recv_into(self._received)
        if got:
            self._incoming.write(self._received[:got])
        else:
            self._incoming.write_eof()
        return got

    def _answer(self) -> None:
        """What TLS itself has to say: why it ends, or that a key was changed."""
        with suppress(OSError):
            self.flush()

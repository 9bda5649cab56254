"""What carries a lane's bytes: a plain socket, or sealed records over one. Neither ever waits."""

import mmap
import socket
from contextlib import suppress
from typing import Protocol

from tieline.wire.lane_seal import LENGTH, LONGEST, RECORD, TAG, Seal, sealed_size


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

    def begun(self) -> bool:
        """Whether a part has come of what can be read only when it is whole."""


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

    def begun(self) -> bool:
        return False


class Sealed:
    """Records over a socket that does not block. `received` is what has come already. Raises AlteredError, an OSError,
    and ProtocolError."""

    def __init__(self, sock: socket.socket, sending: bytes, receiving: bytes, received: bytes = b"") -> None:
        self.sock = sock
        self._sending, self._receiving = Seal(sending), Seal(receiving)
        self._received = memoryview(received)
        self._outgoing = memoryview(mmap.mmap(-1, LONGEST))  # these take room only as far as they are used
        self._incoming = memoryview(mmap.mmap(-1, LONGEST + LENGTH.size))
        self._opened = memoryview(mmap.mmap(-1, RECORD))
        self._unsent = self._unread = memoryview(b"")
        self._filled = 0

    def send(self, data: memoryview) -> int:
        self.flush()
        piece = data[:RECORD]
        self._unsent = self._outgoing[: self._sending.close(piece, self._outgoing)]
        with suppress(BlockingIOError):
            self.flush()
        return len(piece)

    def flush(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[self.sock.send(self._unsent) :]

    def read(self, view: memoryview) -> int:
        if not self._unread:
            if not (size := self._record()):
                return 0
            sealed, plain = self._incoming[LENGTH.size : LENGTH.size + size], size - TAG
            if plain <= len(view):
                self._receiving.open(sealed, view[:plain])
                self._pass_over(LENGTH.size + size)
                return plain
            self._receiving.open(sealed, self._opened[:plain])
            self._pass_over(LENGTH.size + size)
            self._unread = self._opened[:plain]
        got = min(len(view), len(self._unread))
        view[:got] = self._unread[:got]
        self._unread = self._unread[got:]
        return got

    def pending(self) -> bool:
        return bool(self._unread or self._received)

    def begun(self) -> bool:
        return self._filled > 0

    # -- inside --------------------------------------------------------------------------------------------------

    def _record(self) -> int:
        """How much is sealed in the record that has come, whole; 0 at the end of the stream."""
        size, whole = 0, LENGTH.size
        while True:
            if not size and self._filled >= LENGTH.size:
                size = sealed_size(self._incoming[: LENGTH.size])
                whole += size
            if size and self._filled >= whole:
                return size
            # No more than this record and the length of the next: the rest is then read to where it is needed.
            got = self._receive(self._incoming[self._filled : whole + (LENGTH.size if size else 0)])
            if not got:
                return 0
            self._filled += got

    def _receive(self, view: memoryview) -> int:
        if not self._received:
            return self.sock.recv_into(view)
        got = min(len(view), len(self._received))
        view[:got] = self._received[:got]
        self._received = self._received[got:]
        return got

    def _pass_over(self, whole: int) -> None:
        self._filled -= whole
        self._incoming[: self._filled] = self._incoming[whole : whole + self._filled]

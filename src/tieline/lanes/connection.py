"""One lane: blocking messages and raw bytes over a socket, plain or sealed, for one thread; `stop()` is for all others.

Nothing waits for ever: each wait has a deadline (`idle` between frames, `progress` within one), and `stop` ends any of
them at once. A bulk side that cannot send takes in meanwhile what comes, so two sides that send never wait for each
other.
"""

import os
import secrets
import socket
import time
from contextlib import AbstractContextManager

from tieline.errors import LinkClosed, ProtocolError, TielineError, call_error
from tieline.lanes.carriers import Carrier, Plain, Sealed
from tieline.lanes.patience import SLICE, Patience
from tieline.lanes.tls import Tls
from tieline.limits import DEFAULT, KiB, Limits, MiB
from tieline.wire.lane import HEADER, MARK, MESSAGE, Kind, read_header
from tieline.wire.lane_messages import Alive, AnyMessage, Closing, Message, message_frame, read_message
from tieline.wire.lane_seal import KEY, check_key

_INBOX = 16 * KiB
"Bytes of answers read at once while sending."
_PILE = 1 * MiB
"Bytes of answers taken in while sending. A keeping side has far fewer to say."


class Lane:
    """Over a connected socket, or TLS after its handshake; the lane closes it. Raises LinkClosed and ProtocolError."""

    def __init__(self, over: socket.socket | Tls, limits: Limits = DEFAULT) -> None:
        self.tls = isinstance(over, Tls)
        "Whether its bytes are secret."
        self.sock = over.sock if isinstance(over, Tls) else over
        self._carrier: Carrier = over if isinstance(over, Tls) else Plain(over)
        self.bytes_in = 0
        self.bytes_out = 0
        self._limits = limits
        self._idle = limits.lane_idle
        self._progress = limits.lane_progress
        self._header = memoryview(bytearray(HEADER.size))
        self._buffer = memoryview(bytearray(_INBOX))
        self._inbox = bytearray()
        "What has come and was not asked for yet."
        self._patience = Patience(self.sock)

    # -- from any thread -----------------------------------------------------------------------------------------

    def stop(self, error: TielineError) -> None:
        """End it now: whatever waits in the lane's thread raises `error`. Fine to call twice, and after its end."""
        self._patience.stop(error)

    def working(self) -> AbstractContextManager[None]:
        """In turns with other lanes: around everything that a lane's thread does."""
        return self._patience.working()

    def resting(self) -> AbstractContextManager[None]:
        """Around waiting for anything but the processor."""
        return self._patience.resting()

    @property
    def stopped(self) -> bool:
        """Whether it was ended from outside."""
        return self._patience.stopped is not None

    # -- at its opening ------------------------------------------------------------------------------------------

    def key(self) -> bytes:
        """A fresh key to tell the other side; none where nothing is secret."""
        return secrets.token_bytes(KEY) if self.tls else b""

    def check_key(self, key: bytes) -> None:
        """Whether the other side's can seal. Raises ProtocolError."""
        if self.tls:
            check_key(key)

    def seal(self, sending: bytes, receiving: bytes) -> None:
        """Both sides have said their keys, and nothing since: what follows is sealed. Raises ProtocolError."""
        if isinstance(self._carrier, Tls):
            self._carrier = Sealed(self.sock, sending, receiving, self._carrier.rest())

    # -- out -----------------------------------------------------------------------------------------------------

    def say(self, message: Message) -> None:
        """Send one message."""
        self.send(message_frame(message))

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it, taking in meanwhile what comes when it has to wait."""
        self._patience.pass_on()
        view, deadline = memoryview(data), 0.0  # one for all of it: who reads a byte now and then holds nobody up
        while True:
            try:
                while view:
                    sent = self._carrier.send(view)
                    self.bytes_out += sent
                    view = view[sent:]
                self._carrier.flush()
                return
            except BlockingIOError:
                deadline = self._wait_to_send(deadline)
            except OSError as error:
                self._patience.lost(error)

    def send_file(self, descriptor: int, offset: int, size: int) -> None:
        """Bytes of a file, from the kernel straight to a plain socket. A file that has become shorter is LinkClosed."""
        end = offset + size
        deadline = 0.0
        while offset < end:
            try:
                sent = os.sendfile(self.sock.fileno(), descriptor, offset, end - offset)
            except BlockingIOError:
                deadline = self._wait_to_send(deadline)
                continue
            except OSError as error:
                self._patience.lost(error)
            if not sent:
                raise LinkClosed("the file became shorter while it was sent")
            self.bytes_out += sent
            offset += sent
            deadline = 0.0

    # -- in ------------------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Whether something has come. Never waits."""
        if not self._inbox and (self._carrier.pending() or self._patience.has_input()):
            self._take_in()  # what TLS says among its own is nothing for us
        return bool(self._inbox)

    def header(self, idle: float | None = None) -> tuple[Kind, int]:
        """The next frame's kind and the length of its payload, which is read next."""
        self._patience.check()  # what came before counts no more
        self._patience.pass_on()
        allowed = self._idle if idle is None else idle
        while len(self._inbox) < HEADER.size:
            # No more than the header: what follows is then read to where it belongs, and not copied twice.
            got = self._receive(self._header[len(self._inbox) :], self._progress if self._inbox else allowed)
            self._inbox += self._header[len(self._inbox) : len(self._inbox) + got]
        header = bytes(self._inbox[: HEADER.size])
        del self._inbox[: HEADER.size]
        return read_header(header)

    def message(self, idle: float | None = None) -> AnyMessage:
        """The next frame, which must be a message. `Alive` is passed over; `Closing` is raised as what it says."""
        allowed = self._idle if idle is None else idle
        until = time.monotonic() + allowed
        while True:
            kind, size = self.header(max(SLICE, until - time.monotonic()))
            if kind is not Kind.MESSAGE:
                raise ProtocolError(f"a {kind.name} frame where a message was due")
            message = self.payload(size)
            if not isinstance(message, Alive):
                return message
            if time.monotonic() > until:  # being alive is not enough
                raise LinkClosed(f"nothing but signs of life for {allowed:g} s")

    def payload(self, size: int) -> AnyMessage:
        """The message whose header was just read."""
        content = bytearray(size)
        self.read_into(memoryview(content))
        message = read_message(content)
        if isinstance(message, Closing):
            raise call_error(message.code, message.message) if message.code else LinkClosed(message.message)
        return message

    def mark(self) -> tuple[int, bytes]:
        """The payload of a MARK: an offset, and the digest of all before it."""
        offset, digest = MARK.unpack(self.exactly(MARK.size))
        return offset, digest

    def exactly(self, size: int) -> bytes:
        """So many bytes; for what is small."""
        if size > MESSAGE:
            raise ProtocolError(f"{size:,} bytes where {MESSAGE:,} are allowed")
        data = bytearray(size)
        self.read_into(memoryview(data))
        return bytes(data)

    def read_into(self, view: memoryview) -> None:
        """Fill it; what has come already first, the rest straight from the socket."""
        done, size = min(len(self._inbox), len(view)), len(view)
        if done:
            view[:done] = self._inbox[:done]
            del self._inbox[:done]
        deadline = time.monotonic() + self._progress
        while done < size:
            done += self._receive(view[done:], self._progress, deadline)
            if done < size:
                self._patience.pass_on()

    # -- inside --------------------------------------------------------------------------------------------------

    def _receive(self, view: memoryview, allowed: float, deadline: float = 0.0) -> int:
        silent = not deadline
        while True:
            try:
                got = self._carrier.read(view)
            except BlockingIOError:
                if silent and self._carrier.begun():  # no silence any more, though nothing of it can be read yet
                    silent, allowed, deadline = False, self._progress, 0.0
                deadline = self._patience.deadline(deadline, allowed, "the other side has said nothing for too long")
                self._patience.for_input()
            except OSError as error:
                self._patience.lost(error)
            else:
                if not got:
                    self._patience.lost()
                self.bytes_in += got
                return got

    def _wait_to_send(self, deadline: float) -> float:
        """Until more can be sent, or something was taken in; returns the deadline of this wait."""
        deadline = self._patience.deadline(deadline, self._progress, "the other side takes nothing more")
        if self._patience.for_room(or_input=len(self._inbox) < _PILE):
            self._take_in()
        return deadline

    def _take_in(self) -> int:
        """What has come while we could not send."""
        try:
            got = self._carrier.read(self._buffer)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._patience.lost(error)
        if not got:
            self._patience.lost()
        self.bytes_in += got
        self._inbox += self._buffer[:got]
        return got

    def linger(self, seconds: float) -> None:
        """We have said our last word: pass over what still comes, until the other side hangs up or so long."""
        self.sock.shutdown(socket.SHUT_WR)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._patience.has_input(left):
            try:
                if not self.sock.recv(_INBOX):
                    return
            except BlockingIOError:
                continue

    def close(self) -> None:
        self.sock.close()

    def __repr__(self) -> str:
        return f"<Lane {'tls' if self.tls else 'plain'} {self.bytes_in} in {self.bytes_out} out>"

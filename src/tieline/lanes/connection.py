"""One lane: blocking messages and raw bytes over a socket, plain or sealed, for one thread; `stop()` is for all others.

Nothing waits for ever: each wait has a deadline (`idle` between frames, `progress` within one), and `stop` ends any of
them at once. A bulk side that cannot send takes in meanwhile what comes, so two sides that send never wait for each
other.
"""

import errno
import os
import secrets
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tieline.errors import LinkClosed, ProtocolError, TielineError, call_error
from tieline.lanes.carriers import Carrier, Plain, Sealed
from tieline.lanes.tls import Tls
from tieline.lanes.turns import TURNS, Turns
from tieline.limits import DEFAULT, KiB, Limits, MiB
from tieline.wire.lane import HEADER, MARK, MESSAGE, Kind, read_header
from tieline.wire.lane_messages import Alive, AnyMessage, Closing, Message, message_frame, read_message
from tieline.wire.lane_seal import KEY, check_key

_INBOX = 16 * KiB
"Bytes of answers read at once while sending."
_SLICE = 0.5
"Seconds a wait lasts at most before it looks at its deadline."
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
        self._stopped: TielineError | None = None
        self._turns: Turns | None = None
        self._poll = _poll(self.sock, select.POLLIN)
        self._poll_both = _poll(self.sock, select.POLLIN | select.POLLOUT)
        self._poll_out = _poll(self.sock, select.POLLOUT)

    # -- from any thread -----------------------------------------------------------------------------------------

    def stop(self, error: TielineError) -> None:
        """End it now: whatever waits in the lane's thread raises `error`. Fine to call twice, and after its end."""
        if self._stopped is None:
            self._stopped = error
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @contextmanager
    def working(self) -> Iterator[None]:
        """In turns with other lanes: around everything that a lane's thread does."""
        self._turns = TURNS
        self._turns.take()
        try:
            yield
        finally:
            turns, self._turns = self._turns, None
            turns.give()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Around waiting for anything but the processor."""
        if self._turns is None:
            yield
            return
        with self._turns.resting():
            yield

    @property
    def stopped(self) -> bool:
        """Whether it was ended from outside."""
        return self._stopped is not None

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
        if self._turns is not None:
            self._turns.pass_on()
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
                self._lost(error)

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
                self._lost(error)
            if not sent:
                raise LinkClosed("the file became shorter while it was sent")
            self.bytes_out += sent
            offset += sent
            deadline = 0.0

    # -- in ------------------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Whether something has come. Never waits."""
        if not self._inbox and (self._carrier.pending() or self._poll.poll(0)):
            self._take_in()  # what TLS says among its own is nothing for us
        return bool(self._inbox)

    def header(self, idle: float | None = None) -> tuple[Kind, int]:
        """The next frame's kind and the length of its payload, which is read next."""
        if self._stopped is not None:  # what came before counts no more
            raise self._stopped
        if self._turns is not None:
            self._turns.pass_on()
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
            kind, size = self.header(max(_SLICE, until - time.monotonic()))
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
            if self._turns is not None and done < size:
                self._turns.pass_on()

    # -- inside --------------------------------------------------------------------------------------------------

    def _receive(self, view: memoryview, allowed: float, deadline: float = 0.0) -> int:
        silent = not deadline
        while True:
            try:
                got = self._carrier.read(view)
            except BlockingIOError:
                if silent and self._carrier.begun():  # no silence any more, though nothing of it can be read yet
                    silent, allowed, deadline = False, self._progress, 0.0
                deadline = self._deadline(deadline, allowed, "the other side has said nothing for too long")
                self._wait(self._poll, _SLICE)
            except OSError as error:
                self._lost(error)
            else:
                if not got:
                    raise self._stopped or LinkClosed("the lane was cut")
                self.bytes_in += got
                return got

    def _wait_to_send(self, deadline: float) -> float:
        """Until more can be sent, or something was taken in; returns the deadline of this wait."""
        deadline = self._deadline(deadline, self._progress, "the other side takes nothing more")
        piled = len(self._inbox) >= _PILE
        for _, event in self._wait(self._poll_out if piled else self._poll_both, _SLICE):
            if event & select.POLLIN:
                self._take_in()
        return deadline

    def _wait(self, poll: "select.poll", seconds: float) -> list[tuple[int, int]]:
        """For the network; others work meanwhile."""
        with self.resting():
            return poll.poll(seconds * 1000)

    def _take_in(self) -> int:
        """What has come while we could not send."""
        try:
            got = self._carrier.read(self._buffer)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lost(error)
        if not got:
            raise self._stopped or LinkClosed("the lane was cut")
        self.bytes_in += got
        self._inbox += self._buffer[:got]
        return got

    def _deadline(self, deadline: float, allowed: float, what: str) -> float:
        """When this wait must be over; set at the first of its slices."""
        if self._stopped is not None:
            raise self._stopped
        now = time.monotonic()
        if deadline and now >= deadline:
            raise LinkClosed(f"{what} ({allowed:g} s)")
        return deadline or now + allowed

    def _lost(self, error: OSError) -> NoReturn:
        if self._stopped is not None:
            raise self._stopped from error
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or error.errno in (
            errno.EPIPE,
            errno.ECONNRESET,
            errno.EBADF,
        ):
            raise LinkClosed("the lane was cut") from error
        raise LinkClosed(f"the lane was cut ({error.strerror or error})") from error

    def linger(self, seconds: float) -> None:
        """We have said our last word: pass over what still comes, until the other side hangs up or so long."""
        self._stopped = None
        self.sock.shutdown(socket.SHUT_WR)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._poll.poll(left * 1000):
            try:
                if not self.sock.recv(_INBOX):
                    return
            except BlockingIOError:
                continue

    def close(self) -> None:
        self.sock.close()

    def __repr__(self) -> str:
        return f"<Lane {'tls' if self.tls else 'plain'} {self.bytes_in} in {self.bytes_out} out>"


def _poll(sock: socket.socket, events: int) -> "select.poll":
    poll = select.poll()
    poll.register(sock, events)
    return poll

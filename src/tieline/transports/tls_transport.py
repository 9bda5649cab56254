"""TLS between a plain transport of the loop and a protocol: what comes is decrypted, and given on at the protocol's own
pace; what goes is encrypted and handed down at once.

Not the loops' own TLS: that of asyncio and that of uvloop both throw away what a peer sent last when the reader rests
as the connection ends, buffer in two layers of which only one is counted, and take longer for a small message.
"""

import asyncio
import enum
import socket
import ssl
from typing import Any, cast

from tieline.transports.tls import KEY_UPDATE_ANSWERS, SHUTDOWN_TIMEOUT
from tieline.transports.tls_memory import PIECE, READ, TlsMemory
from tieline.transports.tls_wires import wire_for

_SHORT = 2 * 1024
"Bytes that came at once and are hardly worth a buffer, where the protocol takes them without as well."
_CUT = "the connection was closed during the TLS handshake"


class _State(enum.Enum):
    SHAKING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()  # our goodbye is said; what still comes is thrown away until the peer's
    CLOSED = enum.auto()


_OPEN = _State.OPEN


class TlsTransport(asyncio.Transport):
    """`made` is done when the handshake is, or with its OSError. `name` is that of the server, to whoever dials one.

    Made by `tls_handshake`. `close()` and `abort()` close the transport below, and its socket, too.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_below",
        "_buffered",
        "_error",
        "_give_at_once",
        "_hung_up",
        "_known",
        "_loop",
        "_memory",
        "_paused",
        "_protocol",
        "_state",
        "_timer",
        "made",
    )

    def __init__(
        self, protocol: asyncio.BaseProtocol, context: ssl.SSLContext, name: str | bytes | None = None
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._memory = TlsMemory(context, name)
        self._state = _State.SHAKING
        self._below: asyncio.Transport
        self._known = False  # the protocol has been told of us
        self._paused = False  # by the protocol
        self._hung_up = False  # the peer has, while the protocol rests
        self._answered = -1  # bytes of answers since the peer stopped to read; below zero while it reads
        self._error: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.made: asyncio.Future[None] = self._loop.create_future()
        self.set_protocol(protocol)

    # -- the protocol's side -------------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)
        self._give_at_once = getattr(protocol, "data_received", None)
        self._buffered = protocol if isinstance(protocol, asyncio.BufferedProtocol) else None

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "ssl_object":
                return self._memory.tls
            case "sslcontext":
                return self._memory.tls.context
            case "cipher":
                return self._memory.tls.cipher()
        return self._below.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._state is not _OPEN or not data:
            return
        try:
            memory = self._memory
            if len(data) <= PIECE:
                memory.encrypt(data)
                self._below.write(memory.take())
            else:
                self._below.write(memory.seal(data))
        except ssl.SSLError as error:  # the peer has broken it, which is found out in a moment
            self._fail(error)

    def can_write_eof(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._below.get_write_buffer_limits()

    def is_reading(self) -> bool:
        return not self._paused and self._state is _OPEN

    def pause_reading(self) -> None:
        if not self._paused and self._state is _OPEN:
            self._paused = True
            self._below.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and self._state is _OPEN:
            self._paused = False
            self._loop.call_soon(self._go_on)

    def is_closing(self) -> bool:
        return self._state is not _OPEN

    def close(self) -> None:
        """Say goodbye, send what waits for as long as the peer takes it, and wait SHUTDOWN_TIMEOUT for its goodbye."""
        if self._state is not _OPEN:
            return
        self._state = _State.CLOSING
        self._memory.say_goodbye()
        self._flush()
        self._hurry(None)
        self._loop.call_soon(self._pass_over)
        if not self._below.is_closing():
            self._below.resume_reading()

    def abort(self) -> None:
        """Close now; what waits is lost."""
        self._fail(None)

    def forget(self) -> None:
        """Nobody waits for the handshake any more."""
        if not self.made.cancel() and not self.made.cancelled():
            self.made.exception()  # else the loop complains that nobody asked

    def give_up(self, sock: socket.socket) -> None:
        """Close the transport below, or the socket when there is none."""
        if hasattr(self, "_below"):
            self.abort()
        else:
            sock.close()

    def __repr__(self) -> str:
        return f"<TlsTransport {self._state.name.lower()}{' paused' if self._paused else ''}>"

    # -- the side of the transport below -------------------------------------------------------------------------

    def wire(self) -> asyncio.BaseProtocol:
        """The protocol for it."""
        return wire_for(self, self._loop)

    def opened(self, below: asyncio.BaseTransport) -> None:
        self._below = cast(asyncio.Transport, below)
        if not self.made.cancelled():
            self._shake()

    def received(self, data: bytes | memoryview) -> None:
        self._memory.feed(data)
        if self._state is _OPEN:
            size = len(data)
            if size > _SHORT or self._give_at_once is None or self._paused or not self._give_short(size):
                self._deliver()
        elif self._state is _State.SHAKING:
            self._shake()
        elif self._state is _State.CLOSING:
            self._pass_over()

    def finished(self) -> bool:
        """The peer has hung up, whether it said goodbye or not. True keeps the transport below open."""
        self._hung_up = self._state is _OPEN and self._rests()
        return self._hung_up

    def ended(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._state = _State.CLOSED
        error, self._error = self._error or error, None
        if not self.made.done():
            self.made.set_exception(error if isinstance(error, OSError) else ConnectionResetError(_CUT))
        if self._known:
            self._protocol.connection_lost(error)

    def pause_writing(self) -> None:
        self._answered = 0
        if self._known:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._answered = -1
        if self._known:
            self._protocol.resume_writing()

    # -- inside --------------------------------------------------------------------------------------------------

    def _shake(self) -> None:
        try:
            shaken = self._memory.shake()
        except ssl.SSLError as error:
            self._flush()  # the alert that says why
            self._error, self._state = error, _State.CLOSED
            self._below.close()
            return
        if not shaken:
            self._flush()
            return
        if not self.made.cancelled():
            self._state, self._known = _OPEN, True
            self._flush()
            self._protocol.connection_made(self)
        if self.made.cancelled():  # in this very turn, maybe by the protocol
            self._fail(None)
            return
        self.made.set_result(None)
        self._deliver()

    def _deliver(self) -> None:
        """What has come, for as long as the protocol takes it."""
        try:
            while self._state is _OPEN and not self._paused:
                buffered = self._buffered
                if not (self._give() if buffered is None else self._fill(buffered)):
                    break
        except ssl.SSLError as error:
            self._flush()
            self._fail(error)
        if self._memory.outgoing.pending:
            self._answer()
        if self._hung_up and not self._rests():
            self._below.close()

    def _give_short(self, size: int) -> bool:
        """What has just come, which is mostly one whole record. False when there may be more, or something else."""
        memory = self._memory
        try:
            data = memory.decrypt(size)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self._flush()  # the alert that says why
            self._fail(error)
            return True
        if not data:
            memory.goodbye = True
            return False
        self._give_at_once(data)  # type: ignore[misc]
        # What was asked for is longer than its text: as much of that was in OpenSSL before, and may still be.
        return len(data) < size and not (memory.incoming.pending or memory.outgoing.pending)

    def _give(self) -> bool:
        """The next of it, as bytes. False when there is no more that is whole."""
        if not self._memory.is_here():
            return False
        try:
            data = self._memory.decrypt(READ)
        except ssl.SSLWantReadError:
            return False
        if data:
            self._protocol.data_received(data)
        else:
            self._said_goodbye()
        return True

    def _fill(self, protocol: asyncio.BufferedProtocol) -> bool:
        """As many records as the protocol's buffer holds, together. False when there is no more that is whole."""
        buffer: memoryview = protocol.get_buffer(-1)  # type: ignore[assignment]
        memory = self._memory
        done = memory.fill(buffer)
        if memory.broken is not None:
            self._error = memory.broken
            self._flush()  # the alert that says why
        if done:
            protocol.buffer_updated(done)
        if memory.broken is not None:
            self._fail(None)
        elif memory.goodbye and not done:  # else the protocol may rest now
            self._said_goodbye()
        return done == len(buffer) or (memory.goodbye and done > 0)

    def _said_goodbye(self) -> None:
        if self._state is _OPEN:
            self._protocol.eof_received()
            self.close()

    def _go_on(self) -> None:
        """The protocol has rested. What is here comes first, then what the kernel holds, then the end."""
        try:
            self._deliver()
        except Exception as error:
            self._fail(error)  # as it would in a call of the loop's own
            raise
        if not self._paused and self._state is _OPEN and not self._below.is_closing():
            self._below.resume_reading()

    def _rests(self) -> bool:
        """Whether something is here that the protocol was not given because it rests."""
        return self._paused and self._memory.is_here()

    def _pass_over(self) -> None:
        """After our goodbye only the peer's matters."""
        if self._state is not _State.CLOSING or not self._memory.pass_over():
            self._below.close()

    def _hurry(self, waited: int | None) -> None:
        """The goodbye may take so long, and so long again whenever the peer has taken some of what waits for it."""
        waits = self._below.get_write_buffer_size()
        if waited is None or waits < waited:
            self._timer = self._loop.call_later(SHUTDOWN_TIMEOUT, self._hurry, waits)
        else:
            self._below.abort()

    def _answer(self) -> None:
        """What TLS itself has to say: answers to key updates that were read."""
        if self._answered >= 0:
            self._answered += self._memory.outgoing.pending
            if self._answered > KEY_UPDATE_ANSWERS:
                self._fail(ConnectionAbortedError("the peer asks for new keys and does not read the answers"))
                return
        self._flush()

    def _flush(self) -> None:
        if self._memory.outgoing.pending:
            self._below.write(self._memory.take())

    def _fail(self, error: Exception | None) -> None:
        """The end, at once: the protocol hears of it by `connection_lost`, with the first error there was."""
        if self._state is not _State.CLOSED:
            self._error, self._state = self._error or error, _State.CLOSED
            self._below.abort()

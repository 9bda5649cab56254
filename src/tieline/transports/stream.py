"""A byte stream over any asyncio transport: bytes in by callback, bytes out by `write`. Knows nothing of messages.

All streams of a thread read into one buffer: the loops otherwise allocate up to 256 KiB for each read, and giving
that back to the kernel costs more than a small call does. Only uvloop's plain sockets have such a buffer of their own;
there the bytes are handed over as they are, which spares a call and two copies of the view.
"""

import asyncio
import threading
from contextlib import suppress
from typing import Protocol, cast

from tieline.limits import DEFAULT, KiB, Limits
from tieline.transports.busy_poll import busy_poll
from tieline.transports.endpoint import Endpoint, endpoint_of

READ_BUFFER = 256 * KiB
_MUCH = 32 * KiB
"Bytes of one read from which on a view of them is given: to copy what is less costs nothing beside a slice of a view."


class Receiver(Protocol):
    """Who the bytes are for. All calls come from the loop's thread."""

    def opened(self, stream: "Stream") -> None: ...

    def received(self, data: bytes | memoryview) -> None:
        """A view, of a long read, is of the shared buffer: valid during this call only, so keep `bytes(data)` of it."""

    def finished(self) -> None:
        """The peer will send no more; it may still read. Answer what is owed, then `close()`."""

    def ended(self, error: Exception | None) -> None:
        """The stream is gone; exactly once, also after our own `close()`."""

    def writable(self, yes: bool) -> None:
        """False: more than the high mark waits to be sent. True: it has drained."""


class _ThreadBuffer(threading.local):
    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_BUFFER))


_shared = _ThreadBuffer()


def read_buffer() -> memoryview:
    """This thread's. Whoever reads into it has used what is there before anybody else reads."""
    return _shared.view


def gives_bytes(loop: object) -> bool:
    """Whether its plain sockets are read into a buffer of the loop's own, so that one of ours would save nothing."""
    return type(loop).__module__.startswith("uvloop")


class Stream(asyncio.BufferedProtocol):
    """One connection. Give it to the loop as a protocol; it introduces itself to its receiver by `opened()`."""

    __slots__ = (
        "_binding",
        "_buffer",
        "_limits",
        "_poll",
        "_receiver",
        "_transport",
        "bytes_in",
        "bytes_out",
        "info",
        "paused",
    )

    def __init__(self, receiver: Receiver, *, limits: Limits = DEFAULT, binding: bytes | None = None) -> None:
        self._receiver = receiver
        self._limits = limits
        self._poll = busy_poll() if limits.busy_poll else None
        self._binding = binding
        self._transport: asyncio.Transport | None = None
        self._buffer = _shared.view
        self.info: Endpoint
        self.paused = False
        "True while more than the high mark waits to be sent."
        self.bytes_in = 0
        self.bytes_out = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes to be sent; silently nothing once the stream is closing."""
        # asyncio would still send what is written after close() as long as something waits, and warn of what is written
        # after the peer has broken the connection.
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self.bytes_out += len(data)
            transport.write(data)

    def limit_reads(self, size: int | None) -> None:
        """Take at most `size` bytes at a time (None: as many as come); what a caller may make us hold depends on it.

        The first time in `opened`, before anything is read. Less than 2 KiB may come at once all the same, over TLS.
        """
        self._buffer = _shared.view[:size]

    def buffered(self) -> int:
        """Bytes written and not yet taken by the kernel."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self) -> None:
        """Send what waits, then close."""
        if self._transport is not None:
            self._transport.close()

    def finish(self) -> None:
        """Send what waits, then tell the peer that nothing more comes; reading goes on. TLS has no such half."""
        if self._transport is not None and not self._transport.is_closing() and self._transport.can_write_eof():
            with suppress(OSError):  # asyncio raises when the peer has reset the connection meanwhile
                self._transport.write_eof()

    def abort(self) -> None:
        """Close now; what waits is lost."""
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def transport(self) -> asyncio.Transport | None:
        """The loop's transport while open: for its socket's facts, never for writing."""
        return self._transport

    def __repr__(self) -> str:
        state = "open" if self._transport is not None else "closed"
        who = f" {self.info.kind} {self.info.remote}" if hasattr(self, "info") else ""
        return f"<Stream {state}{who} {self.bytes_in} in {self.bytes_out} out>"

    # -- asyncio's side ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=self._limits.send_buffer)
        self.info = endpoint_of(transport, self._binding)
        self._receiver.opened(self)
        if self._buffer is _shared.view and self.info.kind != "tls" and gives_bytes(transport):
            transport.set_protocol(_HandedOver(self))

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        poll = self._poll
        if poll is not None:
            if poll.awake:
                poll.heard = True
            else:
                poll.read(self._limits.busy_poll)
        self._receiver.received(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.bytes_in += nbytes
        poll = self._poll
        if poll is not None:
            if poll.awake:
                poll.heard = True
            else:
                poll.read(self._limits.busy_poll)
        data = self._buffer[:nbytes]
        self._receiver.received(data if nbytes >= _MUCH else bytes(data))

    def eof_received(self) -> bool:
        self._receiver.finished()
        # TLS cannot be half open here; the loop closes it after this call.
        return self.info.kind != "tls"

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._receiver.ended(exc)

    def pause_writing(self) -> None:
        self.paused = True
        self._receiver.writable(False)

    def resume_writing(self) -> None:
        self.paused = False
        self._receiver.writable(True)


class _HandedOver(asyncio.Protocol):
    """The stream for a loop that gives bytes rather than asks for a buffer. Everything else is the stream's own."""

    __slots__ = ("connection_lost", "data_received", "eof_received", "pause_writing", "resume_writing")

    def __init__(self, stream: Stream) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(stream, name))

"""The protocols of the transport below TLS: for a loop that gives bytes, and for one that asks for a buffer."""

import asyncio
from typing import Protocol

from tieline.transports.stream import gives_bytes, read_buffer


class Above(Protocol):
    """A TlsTransport, as the transport below knows it."""

    def opened(self, below: asyncio.BaseTransport) -> None: ...

    def received(self, data: bytes | memoryview) -> None: ...

    def finished(self) -> bool: ...

    def ended(self, error: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


def wire_for(tls: Above, loop: asyncio.AbstractEventLoop) -> asyncio.BaseProtocol:
    """The one for a loop's plain sockets."""
    return _Bytes(tls) if gives_bytes(loop) else _Buffer(tls)


_NAMES = {
    "connection_made": "opened",
    "data_received": "received",
    "eof_received": "finished",
    "connection_lost": "ended",
    "pause_writing": "pause_writing",
    "resume_writing": "resume_writing",
}


class _Bytes(asyncio.Protocol):
    """For a loop that gives bytes."""

    __slots__ = tuple(_NAMES)

    def __init__(self, tls: Above) -> None:
        for name, ours in _NAMES.items():
            setattr(self, name, getattr(tls, ours))


class _Buffer(asyncio.BufferedProtocol):
    """For one that asks for a buffer."""

    __slots__ = tuple(_NAMES)

    def __init__(self, tls: Above) -> None:
        for name, ours in _NAMES.items():
            setattr(self, name, getattr(tls, ours))

    def get_buffer(self, sizehint: int) -> memoryview:
        return read_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(read_buffer()[:nbytes])  # type: ignore[attr-defined]

"""Protocols that serve a connection only until it is known who should: then they hand it over, or say goodbye."""

import asyncio
from collections.abc import Callable
from typing import cast

from tieline.transports.caller import Caller, caller_of


def become(transport: asyncio.Transport, protocol: asyncio.BaseProtocol, data: bytes = b"") -> None:
    """Let `protocol` serve `transport` from now on, beginning with `data`, which was read already."""
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if isinstance(protocol, asyncio.BufferedProtocol):
        _fill(transport, protocol, data)
    elif data and not transport.is_closing():
        cast(asyncio.Protocol, protocol).data_received(data)


def _fill(transport: asyncio.Transport, protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    while data and not transport.is_closing():
        buffer = memoryview(protocol.get_buffer(len(data)))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


class ByAlpn(asyncio.Protocol):
    """A TLS caller: who serves it is what it named in its hello, known as soon as the handshake is over."""

    def __init__(self, choose: Callable[[str | None], asyncio.BaseProtocol]) -> None:
        self._choose = choose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        alpn = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        become(transport, self._choose(alpn))


class FirstWords(asyncio.Protocol):
    """A TLS caller who named nothing: told by its first bytes, as a plain one is; silent for `greeting` is a person."""

    def __init__(self, choose: Callable[[Caller], asyncio.BaseProtocol], greeting: float) -> None:
        self._choose = choose
        self._greeting = greeting
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(self._greeting, self.data_received, b"")

    def data_received(self, data: bytes) -> None:
        self._timer.cancel()
        if not self._transport.is_closing():
            become(self._transport, self._choose(caller_of(data)), data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()


class Farewell(asyncio.Protocol):
    """Says its last words and closes when the peer has read them, or when the opening's time is over."""

    def __init__(self, last_words: bytes) -> None:
        self._last_words = last_words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        transport.write(self._last_words)
        try:
            transport.write_eof()
        except (OSError, NotImplementedError):  # the peer is gone already, or TLS, which has no half-close
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Read and thrown away: closing with unread bytes is a reset, and the peer would lose the words."""

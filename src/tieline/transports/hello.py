"""What a TLS ClientHello asks for (ALPN, RFC 7301), read from its bytes before anybody answers it. Pure.

Bytes that are no ClientHello, or broken ones, ask for nothing: the handshake will say what is wrong with them.
"""

import struct
from collections.abc import Iterator

PEEK = 4096
"Bytes of a hello worth waiting for. Ours has some 500, and names its protocols long before its end."

_HANDSHAKE, _CLIENT_HELLO, _ALPN = 0x16, 0x01, 16
_FIXED = 2 + 32
"RFC 8446, 4.1.2: legacy version and random."


class _Short(Exception):
    """It goes on behind what has come."""


def asks_for(first_bytes: bytes) -> list[str] | None:
    """The protocols a ClientHello names, in its order; None when that has not come yet."""
    try:
        hello = _Reader(_handshake(first_bytes[:PEEK]))
        return _names(hello)
    except _Short:
        return None if len(first_bytes) < PEEK else []
    except ValueError:
        return []


def _handshake(data: bytes) -> bytes:
    """The handshake messages inside the TLS records, as far as they have come."""
    found = bytearray()
    at = 0
    while at < len(data):
        if data[at] != _HANDSHAKE:
            raise ValueError
        if len(data) < at + 5:
            break
        (size,) = struct.unpack_from("!H", data, at + 3)
        if size == 0:
            raise ValueError
        found += data[at + 5 : at + 5 + size]
        at += 5 + size
    return bytes(found)


def _names(hello: "_Reader") -> list[str]:
    if hello.number(1) != _CLIENT_HELLO:
        raise ValueError
    end = hello.number(3) + 4
    hello.take(_FIXED)
    hello.take(hello.number(1))  # session id
    hello.take(hello.number(2))  # cipher suites
    hello.take(hello.number(1))  # compression methods
    if hello.at >= end:
        return []
    end = hello.number(2) + hello.at
    while hello.at < end:
        kind, size = hello.number(2), hello.number(2)
        content = hello.take(size)
        if kind == _ALPN:
            return list(_listed(content[2:]))
    return []


def _listed(names: bytes) -> Iterator[str]:
    while names:
        size = names[0]
        yield names[1 : 1 + size].decode("latin-1")
        names = names[1 + size :]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        if len(self._data) < self.at + size:
            raise _Short
        self.at += size
        return self._data[self.at - size : self.at]

"""Codecs of bytes: messages to bytes and back. Pure: no sockets, no clock, nothing kept from message to message.

A codec of one's own is two methods; what it needs to remember is in the `Inbox` it reads from:

    class Netstrings:
        def encode(self, message):
            return b"%d:%b," % (len(message), message)

        def decode(self, inbox):
            size, colon, _ = inbox.peek(8).partition(b":")
            whole = inbox.exactly(int(size) + 1, skip=len(size) + 1) if colon else MORE
            return whole if whole is MORE else whole[:-1]

The codecs of text and of JSON are in `text_codecs` and `json_codecs`.
"""

import re
import struct
from dataclasses import dataclass, field
from typing import Any, Protocol

from tieline.errors import ConfigError, LimitExceeded, ProtocolError
from tieline.wire.inbox import MORE, Inbox, More

_INTEGER = re.compile(r"[@=<>!]?[bBhHiIlLqQ]|@?[nN]")


class Codec(Protocol):
    """Cuts bytes into messages. One object serves any number of links: it keeps nothing of any of them."""

    def encode(self, message: Any, /) -> bytes:
        """The message as bytes. Raises ProtocolError or LimitExceeded for one that cannot be sent."""

    def decode(self, inbox: Inbox, /) -> Any:
        """Take the next message out of `inbox`; `MORE` when it is not whole yet. Errors end the link.

        After the peer's last byte it is asked once more, with `inbox.ended` set: `MORE` then means there is none.
        """


def require_limit(codec: str, limit: int | None) -> None:
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ConfigError("limit", f"is {limit!r}; {codec} needs a number of bytes, at least 1, or None")


def require_bytes(codec: str, message: object) -> bytes:
    """Bytes-like only: `bytes(7)` would be seven zeros, and text has an encoding that Raw cannot know."""
    if isinstance(message, bytes):
        return message
    if isinstance(message, bytearray | memoryview):
        return bytes(message)
    raise ProtocolError(f"{codec} sends bytes, not {type(message).__name__}", remote=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they come, for peers with no framing: what was sent in two pieces may arrive as one, and the reverse."""

    def encode(self, message: bytes) -> bytes:
        return require_bytes("Raw", message)

    def decode(self, inbox: Inbox) -> bytes | More:
        return inbox.all()


@dataclass(frozen=True, slots=True)
class Fixed:
    """Messages of exactly `size` bytes."""

    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ConfigError("size", f"is {self.size!r}; Fixed needs a number of bytes, at least 1")

    @property
    def limit(self) -> int:
        return self.size

    def encode(self, message: bytes) -> bytes:
        data = require_bytes("Fixed", message)
        if len(data) != self.size:
            raise ProtocolError(f"Fixed(size={self.size}) cannot send a message of {len(data)} bytes", remote=False)
        return data

    def decode(self, inbox: Inbox) -> bytes | More:
        return inbox.exactly(self.size)


@dataclass(frozen=True, slots=True)
class LengthPrefixed:
    """A length, then so many bytes. `format` is any integer of the `struct` module; an empty message is a message.

    `limit` bounds the bytes after the length; None takes the link's (`Limits.frame`).
    """

    format: str = "!I"
    limit: int | None = None
    _length: struct.Struct = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.format, str) or not _INTEGER.fullmatch(self.format):
            raise ConfigError("format", f"is {self.format!r}; LengthPrefixed needs one struct integer, such as '!I'")
        require_limit("LengthPrefixed", self.limit)
        object.__setattr__(self, "_length", struct.Struct(self.format))

    def encode(self, message: bytes) -> bytes:
        if type(message) is not bytes:
            message = require_bytes("LengthPrefixed", message)
        if self.limit is not None and len(message) > self.limit:
            raise LimitExceeded("LengthPrefixed message", got=len(message), limit=self.limit)
        try:
            return self._length.pack(len(message)) + message
        except struct.error:
            raise LimitExceeded(
                f"LengthPrefixed message (format={self.format!r})", got=len(message), limit=self._largest()
            ) from None

    def decode(self, inbox: Inbox) -> bytes | More:
        size = inbox.number(self._length)
        if size is MORE:
            return MORE
        limit = self.limit or inbox.limit
        if not 0 <= size <= limit:
            self._refuse(size, limit)
        return inbox.exactly(size, self._length.size)

    def _refuse(self, size: int, limit: int) -> None:
        if size < 0:
            raise ProtocolError(f"LengthPrefixed(format={self.format!r}) read a length of {size}")
        raise LimitExceeded("LengthPrefixed message", got=size, limit=limit)

    def _largest(self) -> int:
        bits = 8 * self._length.size
        return int(2 ** (bits - 1 if self.format[-1].islower() else bits) - 1)

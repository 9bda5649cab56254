"""`tieline/1` frames to bytes and back, as they trickle in. Pure: no sockets, no clock.

    length: u32 | kind: u8 | channel: u32 | payload            big-endian; length counts the payload

Each side sends the preface once, before its first frame.
"""

import struct
from enum import IntEnum

from tieline.errors import LimitExceeded, NotTieline

PREFACE = b"\xf7tieline/1\n"
"Its first byte is no ASCII, no TLS record and no UTF-8 beginning of a word: one byte tells a native caller."

HEADER = struct.Struct("!IBI")
_unpack = HEADER.unpack_from

_LARGE = 4096
"Bytes of a frame from which on copying it by itself is cheaper than to copy everything that was read first."

Frame = tuple[int, int, bytes]
"kind, channel, payload"
_SHOWN = 160
"Bytes of what is no preface that are told."


class Kind(IntEnum):
    """What a frame means; docs/protocol.md says it of each."""

    HELLO = 1
    AUTH = 2
    WELCOME = 3
    CALL = 4
    RESULT = 5
    ERROR = 6
    ITEM = 7
    DATA = 8
    CREDIT = 9
    END = 10
    CANCEL = 11
    EVENT = 12
    PING = 13
    PONG = 14
    GOAWAY = 15


def frame(kind: int, channel: int, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    return HEADER.pack(len(payload), kind, channel) + payload


class FrameCutter:
    """Bytes in, whole frames out; keeps only the beginning of the frame that is not whole yet.

    A length above `limit` is refused from its header alone, before a byte of the payload is kept; when frames stand
    before it, they are given out first and `refused` is set, for one of them may raise the limit.
    """

    __slots__ = ("_kept", "_needed", "_prefaced", "between", "limit", "refused")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        "Bytes of payload; raised once the peer has logged in."
        self._kept = bytearray()
        self._needed = 0  # of `_kept`, before it is worth looking at again
        self._prefaced = False
        self.between = False
        "True when the next byte begins a frame: who knows where it ends may then take it without `feed`."
        self.refused = False
        "True when the next `feed`, even of nothing, would raise unless the limit is raised before."

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """All frames that are whole now. Raises ProtocolError or LimitExceeded; after that the stream is useless.

        A view of many bytes spares copying them all first; its frames are copies all the same.
        """
        frames: list[Frame] = []
        start = 0
        if self._kept:
            missing = self._needed - len(self._kept)
            if missing > 0 and self._needed > 9 and len(data) > missing:
                # The rest of a large frame is joined to it, and what comes behind is not copied for that.
                self._kept += data[:missing]
                _, kind, channel = _unpack(self._kept)
                frames.append((kind, channel, bytes(memoryview(self._kept)[9:])))
                self._kept = bytearray()
                self.between = True
                start = missing
            else:
                # Growing one bytearray keeps a large frame that comes byte by byte from costing a copy for each byte.
                self._kept += data
                if len(self._kept) < self._needed:
                    return []
                data = bytes(self._kept)
                self._kept.clear()
                self.between, self.refused = self._prefaced, False
        if not self._prefaced:
            data = bytes(data)
            start = self._preface(data)
            if start < 0:
                return []
        if type(data) is memoryview and (len(data) < start + 9 or _unpack(data, start)[0] < _LARGE):
            data = bytes(data)
        view = type(data) is memoryview
        append, unpack, limit, size = frames.append, _unpack, self.limit, len(data)
        body = start + 9
        while body <= size:
            length, kind, channel = unpack(data, start)
            if length > limit:
                if not frames:
                    raise LimitExceeded("a frame", got=length, limit=limit)
                self.refused = True
                self._keep(data, start, 9)
                return frames
            end = body + length
            if end > size:
                self._keep(data, start, 9 + length)
                return frames
            append((kind, channel, bytes(data[body:end]) if view else data[body:end]))  # type: ignore[arg-type]
            start = end
            body = end + 9
        if start < size:
            self._keep(data, start, 9)
        return frames

    @property
    def kept(self) -> int:
        """Bytes held of a frame that is not whole yet."""
        return len(self._kept)

    def _keep(self, data: bytes | memoryview, start: int, needed: int) -> None:
        self._kept += data[start:]
        self._needed = needed
        self.between = False

    def _preface(self, data: bytes) -> int:
        """Where the first frame begins; -1 while the preface is not whole."""
        if not data.startswith(PREFACE[: len(data)]):
            raise NotTieline(data[:_SHOWN])
        if len(data) < len(PREFACE):
            self._keep(data, 0, 1)
            return -1
        self._prefaced = self.between = True
        return len(PREFACE)

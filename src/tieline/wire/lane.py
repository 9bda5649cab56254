"""The frames of `tieline-lane/1`, a connection that carries files. Pure: bytes in, bytes out.

    length: u32 | kind: u8 | payload            big-endian; length counts the payload

What the payload of a MESSAGE says is in lane_messages.py; the other three kinds are the bytes of files.
"""

import struct
from enum import IntEnum

from tieline.errors import ProtocolError
from tieline.limits import KiB, MiB

PREFACE = b"\xf8tieline-lane/1\n"
"The client's first bytes, in TLS too. Its first byte is told from all other callers'."

HEADER = struct.Struct("!IB")
MARK = struct.Struct("!Q32s")
HOLE = struct.Struct("!Q")

BLOCK = 4 * MiB
"A file is verified each time so many bytes of it have come: what is lost with a connection, or damaged, is less."

SMALL = 64 * KiB
"The longest file that travels in a batch."

BATCH = 256 * KiB
"Bytes in one batch at most, and of a longer file in one piece: what a lane reads and keeps in memory at a time."

WINDOW = 16
"Blocks that may be on their way unverified."

MESSAGE = 1 * MiB
"Bytes of one message at most."


class Kind(IntEnum):
    MESSAGE = 1
    DATA = 2
    "Bytes of the current file, or all bytes of a batch."
    HOLE = 3
    "So many zeros of the current file, which need not take room."
    MARK = 4
    "How far the current file has come, and the digest of all of it up to there."


_LONGEST = {Kind.MESSAGE: MESSAGE, Kind.DATA: BLOCK, Kind.HOLE: HOLE.size, Kind.MARK: MARK.size}
_EXACT = (Kind.HOLE, Kind.MARK)


def mark_frame(offset: int, digest: bytes) -> bytes:
    return HEADER.pack(MARK.size, Kind.MARK) + MARK.pack(offset, digest)


def hole_frame(size: int) -> bytes:
    return HEADER.pack(HOLE.size, Kind.HOLE) + HOLE.pack(size)


def read_header(header: bytes | memoryview) -> tuple[Kind, int]:
    """Kind and length of the payload. Raises ProtocolError before a byte of a payload too long is read."""
    length, number = HEADER.unpack(header)
    try:
        kind = Kind(number)
    except ValueError:
        raise ProtocolError(f"a lane has no frames of kind {number}") from None
    longest = _LONGEST[kind]
    if length > longest or (kind in _EXACT and length != longest):
        raise ProtocolError(f"a {kind.name} frame of {length:,} bytes; {longest:,} are allowed")
    return kind, length

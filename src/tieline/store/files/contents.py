"""The bytes of a file: written whole, and hashed by range. Blocking, for any thread."""

import os

from blake3 import blake3

from tieline.limits import KiB

_PIECE = 256 * KiB
_ZEROS = bytes(_PIECE)


def write_all(descriptor: int, data: memoryview) -> None:
    """All of it: a disk may take less at a time."""
    done = os.write(descriptor, data)
    while done < len(data):
        done += os.write(descriptor, data[done:])


def hash_range(hasher: blake3, descriptor: int, offset: int, size: int) -> None:
    """Add so many bytes of a file; those it no longer has are left out, and the digest will tell."""
    buffer = memoryview(bytearray(min(_PIECE, size)))
    end = offset + size
    while offset < end:
        got = os.preadv(descriptor, [buffer[: min(len(buffer), end - offset)]], offset)
        if not got:
            return
        hasher.update(buffer[:got])
        offset += got


def hash_zeros(hasher: blake3, size: int) -> None:
    while size > 0:
        hasher.update(_ZEROS[: min(size, _PIECE)])
        size -= _PIECE

"""The bytes of a file: written whole, and hashed by range. Blocking, for any thread."""

import ctypes
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


def start_writing(descriptor: int, offset: int, size: int) -> None:
    """Have the disk begin with these bytes now, and not when all of the file must be there: whoever makes a few bytes
    durable meanwhile, a chat message, would wait for all that has piled up. A hint: nothing is promised by it."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, offset, size, _WRITE)


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


_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, and do not wait
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)  # of Linux
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

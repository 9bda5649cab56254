"""How the bytes of a lane are sealed once TLS has agreed on the keys. Pure.

    length: u32 | AES-256-GCM of up to 256 KiB, its tag of 16 at the end          length counts what follows it

Each direction of each lane has a key of its own, drawn at random by its sender and told inside TLS 1.3, whose server
was verified: it is as fresh and as secret as TLS's own keys, and forgotten with the connection like them. The nonce is
the number of the record, so none is used twice, and a record that is altered, left out, doubled or put elsewhere does
not open. An end between two records proves nothing: what belongs together says so itself, by its lengths and its End.
Who listens sees how long each record is and when it goes, and so where messages end, as he does in TLS.

Why not TLS's own records: they hold 16 KiB, and a Python program pays for each with calls and copies of its own. In
records sixteen times as long, sealed where they are sent from and opened where they belong, a gigabyte costs a third
less of the processor's time at each side (docs/design.md, Files).
"""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tieline.errors import ProtocolError
from tieline.limits import KiB

KEY = 32
LENGTH = struct.Struct("!I")
TAG = 16
RECORD = 256 * KiB
"Bytes sealed in one record at most: as many as a lane sends in one piece."
LONGEST = LENGTH.size + RECORD + TAG
"A whole record, on the wire."

_RECORDS = 2**20
"Records under one key, 256 GiB: GCM is good for some 2^38 bytes (RFC 8446, 5.5), and then wants another."


class AlteredError(OSError):
    """A record is not the one that was sent. The connection is of no use any more."""


class Seal:
    """The records of one direction, in their order: for the one side to close, for the other to open."""

    def __init__(self, key: bytes) -> None:
        check_key(key)
        self._key = key
        self._cipher = AESGCM(key)
        self._count = 0

    def close(self, data: memoryview, into: memoryview) -> int:
        """The next record, of at most RECORD bytes of data; returns how long it is."""
        end = LENGTH.size + len(data) + TAG
        LENGTH.pack_into(into, 0, len(data) + TAG)
        self._cipher.encrypt_into(self._nonce(), data, None, into[LENGTH.size : end])
        self._next()
        return end

    def open(self, sealed: memoryview, into: memoryview) -> None:
        """What was sealed, without its length; `into` is TAG shorter. Raises AlteredError: what then lies there is not
        to be believed, and only the record that was due would still open."""
        try:
            self._cipher.decrypt_into(self._nonce(), sealed, None, into)
        except InvalidTag:
            raise AlteredError("a record was altered on the way") from None
        self._next()

    def _nonce(self) -> bytes:
        return self._count.to_bytes(12, "big")

    def _next(self) -> None:
        self._count += 1
        if self._count % _RECORDS == 0:
            self._key = HKDFExpand(SHA256(), KEY, b"tieline-lane/1 next key").derive(self._key)
            self._cipher = AESGCM(self._key)


def check_key(key: bytes) -> None:
    """Raises ProtocolError for what is no key."""
    if len(key) != KEY:
        raise ProtocolError(
            f"a lane's key of {len(key)} bytes, where {KEY} are due; is the other side another Tieline?"
        )


def sealed_size(length: bytes | memoryview) -> int:
    """How much follows this length. Raises ProtocolError for one too long, or empty, before a byte is read."""
    (size,) = LENGTH.unpack(length)
    if not TAG < size <= RECORD + TAG:
        raise ProtocolError(f"a sealed record of {size:,} bytes; {TAG + 1} to {RECORD + TAG:,} are allowed")
    return int(size)

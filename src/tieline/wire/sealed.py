"""Sealed datagrams: their format, their keys, and a session that seals and opens them. Pure; docs/protocol.md draws it.

    hello, welcome   kind | key id: 8 | client salt: 16 | server salt: 16 (zeros in a hello) | tag: 16
    message, ping…   kind | session id: 8 | counter: u64 | ChaCha20-Poly1305 of the message, its tag of 16 at the end

**Why a nonce never repeats.** ChaCha20-Poly1305 is lost when one key seals two datagrams with one nonce. The nonce is a
counter, and the counter begins at 0 with each session; so what must never repeat is a session's key. It is derived from
the shared key and two salts of 128 random bits: one that the client draws for this session, one that the server draws
for it. Either alone makes the key new:

- two clients with one shared key have drawn different salts, and so has a client after a restart;
- a server after a restart draws anew, so an old hello that somebody plays back leads to keys never used before;
- a client takes one welcome for each hello it made, and draws a salt for each hello: a welcome played back is
  refused, and cannot take it back to an older session's keys with the counter at 0;
- the two directions have keys of their own, so both count from 0, and what is sent back to its sender does not open;
- the counter has 64 bits and is never taken back; a session that used them all up would end.

**Why a datagram counts once.** Within a session: the counter and the replay window. Across sessions: a session that the
server has forgotten cannot be had again, since the server draws its salt anew; so what was sent in it opens nowhere.

A hello and a welcome carry no secret and are authenticated by HMAC-SHA256, which needs no nonce. There is no exchange
of ephemeral keys: who learns the shared key later can read what was recorded. A key that was handed out over a link
lives in memory only, and no longer than the link.
"""

import hashlib
import hmac
import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tieline.errors import ConfigError, LinkClosed
from tieline.wire.replay import ReplayWindow

HELLO, WELCOME, MESSAGE, PING, PONG = 0xE1, 0xE2, 0xE3, 0xE4, 0xE5
KEY, ID, SALT, TAG = 32, 8, 16, 16
HEADER = struct.Struct("!B8sQ")
OPENING = struct.Struct("!B8s16s16s")
OVERHEAD = HEADER.size + TAG
OPENING_SIZE = OPENING.size + TAG
_LAST = 2**64 - 1
_SHORTEST = 8  # characters of a passphrase
_NO_SALT = bytes(SALT)


class Key(msgspec.Struct, frozen=True):
    """A shared secret of 32 random bytes, and the name it goes by on the wire."""

    id: bytes
    secret: bytes
    address: str = ""
    "Where it is good, for one that a server handed out."

    def __repr__(self) -> str:
        return f"<Key {self.id.hex()}{self.address and ' for '}{self.address}>"


def key_of(secret: bytes) -> Key:
    """The key for 32 random bytes that both sides were given. Raises ConfigError when it is not 32."""
    if len(secret) != KEY:
        raise ConfigError("key", f"has {len(secret)} bytes; give 32 random ones, or a passphrase as text")
    return Key(_derive(secret, b"", b"key id", ID), secret)


def stretched(passphrase: str | bytes) -> Key:
    """The key for a passphrase. Takes about 100 ms and 32 MiB on purpose: call it in a thread.

    The salt is fixed, since nothing is known of the peer before the first datagram. Who records a hello can try
    passphrases at this cost each: choose a long one, or 32 random bytes.
    """
    words = passphrase.encode() if isinstance(passphrase, str) else bytes(passphrase)
    if len(words) < _SHORTEST:
        raise ConfigError("key", f"is a passphrase of {len(words)} characters; it needs {_SHORTEST} at least")
    return key_of(hashlib.scrypt(words, salt=b"tieline/1 datagrams", n=2**15, r=8, p=1, maxmem=2**26, dklen=KEY))


class Session:
    """One client's and the server's keys for as long as both remember them; `server` says which side this is."""

    __slots__ = ("_counter", "_open", "_seal", "client_salt", "id", "key", "server_salt", "window")

    def __init__(self, key: Key, client_salt: bytes, server_salt: bytes, *, server: bool) -> None:
        self.key = key
        self.client_salt, self.server_salt = client_salt, server_salt
        self.id = server_salt[:ID]
        self.window = ReplayWindow()
        salts = client_salt + server_salt
        to_server = ChaCha20Poly1305(_derive(key.secret, salts, b"to server" + key.id, KEY))
        to_client = ChaCha20Poly1305(_derive(key.secret, salts, b"to client" + key.id, KEY))
        self._seal = (to_client if server else to_server).encrypt
        self._open = (to_server if server else to_client).decrypt
        self._counter = 0

    def seal(self, message: bytes, kind: int = MESSAGE) -> bytes:
        """The datagram for `message`; another one each time."""
        counter = self._counter
        if counter > _LAST:
            raise LinkClosed("this session has sent all the datagrams its counter can count")
        self._counter = counter + 1
        header = HEADER.pack(kind, self.id, counter)
        return header + self._seal(b"\0\0\0\0" + header[9:], message, header)

    def open(self, datagram: bytes) -> bytes | None:
        """The message of a datagram whose counter is new; None when it is forged. Marks the counter as seen."""
        if len(datagram) < OVERHEAD:
            return None
        header = datagram[: HEADER.size]
        try:
            message = self._open(b"\0\0\0\0" + header[9:], datagram[HEADER.size :], header)
        except InvalidTag:
            return None
        self.window.mark(int.from_bytes(header[9:]))
        return message

    def __repr__(self) -> str:
        return f"<Session {self.id.hex()} of key {self.key.id.hex()}, {self._counter} sent, {self.window!r}>"


def hello(key: Key, client_salt: bytes) -> bytes:
    """A client's first datagram: it holds the key, and wants a session with this salt. As long as its answer."""
    return _authentic(key, OPENING.pack(HELLO, key.id, client_salt, _NO_SALT))


def welcome(session: Session) -> bytes:
    """The server's answer, good for that hello only."""
    return _authentic(session.key, OPENING.pack(WELCOME, session.key.id, session.client_salt, session.server_salt))


def is_authentic(key: Key, opening: bytes) -> bool:
    """Whether who made this hello or welcome holds the key. Compares in constant time."""
    return len(opening) == OPENING_SIZE and hmac.compare_digest(_authentic(key, opening[: OPENING.size]), opening)


def _authentic(key: Key, opening: bytes) -> bytes:
    secret = _derive(key.secret, b"", b"opening", KEY)
    return opening + hmac.digest(secret, opening, "sha256")[:TAG]


def _derive(secret: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt, b"tieline/1 datagram " + purpose).derive(secret)

"""Proof of a shared key without showing it, for raw links: one side sends a nonce, the other answers with an HMAC.

Pure functions; the link carries the bytes. It proves who answers, and nothing about what is said afterwards: on a
network that others can write to, use it inside TLS. `legacy` speaks to programs that send the hex digest of key+nonce.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Literal

from tieline.errors import ConfigError

NONCE = 32
"Bytes of a nonce: never the same twice, never guessed."

Side = Literal["client", "server"]


class Challenge:
    """One shared key and how to prove it. `mutual` proves both sides: each sends a nonce, each answers the other's."""

    def __init__(
        self,
        key: bytes,
        digest: str = "sha256",
        legacy: bool = False,
        mutual: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if not key:
            raise ConfigError("key", "is empty, so everybody has it; use for example 32 random bytes")
        if digest not in hashlib.algorithms_available or digest.startswith("shake"):
            raise ConfigError("digest", f"{digest!r} is none this Python has; sha256 is a good choice")
        if legacy and mutual:
            raise ConfigError("legacy", "has no mutual form: the same answer would prove either side")
        self._key = key
        self._digest = digest
        self._legacy = legacy
        self._random = random
        self.mutual = mutual

    def nonce(self) -> bytes:
        """32 fresh bytes to send. Use each for one answer only."""
        return self._random(NONCE)

    def answer(self, nonce: bytes, *, own: bytes = b"", side: Side = "client") -> bytes:
        """The proof to send back for the other's `nonce`. In the mutual form `own` is the nonce we sent ourselves and
        `side` who we are: bound into the answer, so that ours sent back to us proves nothing."""
        if self._legacy:
            return hashlib.new(self._digest, self._key + nonce).hexdigest().encode()
        if not self.mutual:
            return hmac.digest(self._key, nonce, self._digest)
        parts = (side.encode(), nonce, own)
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, framed, self._digest)

    def verify(self, nonce: bytes, answer: bytes, *, theirs: bytes = b"", side: Side = "client") -> bool:
        """Whether `answer` proves the key for `nonce`, which we sent. In the mutual form `theirs` is the nonce they
        sent and `side` who they are. Takes the same time for every wrong answer of one length."""
        if self.mutual and hmac.compare_digest(nonce, theirs):  # a reflected nonce is nobody's
            return False
        return hmac.compare_digest(self.answer(nonce, own=theirs, side=side), answer)

    @property
    def answer_size(self) -> int:
        """Bytes of an answer, so that the link can read exactly as many."""
        size = hashlib.new(self._digest).digest_size
        return size * 2 if self._legacy else size

    def __repr__(self) -> str:
        form = "legacy " if self._legacy else "mutual " if self.mutual else ""
        return f"<Challenge {form}{self._digest}>"

"""The client's side of SCRAM-SHA-256 and -PLUS (RFC 5802, 7677), as a step machine: bytes in, bytes out.

Our own, where the server's side is scramp's: that takes longer to load than all the rest of a login, and a command is
run in loops. A test holds the two against each other, byte for byte.
"""

import asyncio
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import pbkdf2_hmac, sha256

from tieline.errors import LoginFailed
from tieline.login.scram_bounds import (
    END_POINT,
    KEY_ITERATIONS,
    LEAST_SALT,
    MAX_ITERATIONS,
    NONCE,
    received,
)

# RFC 5802, 7: a nonce is printable and holds no comma; an `m=` in front would be an extension that we must know.
_FIRST = re.compile(r"r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]*)(?:,.*)?")
_FINAL = re.compile(r"v=([A-Za-z0-9+/]+={0,2})(?:,.*)?")


class ScramClient:
    """`first()`, then `final(server's first)`, then `verify(server's final)`. Raises LoginFailed."""

    def __init__(
        self, user: str, secret: str, binding: bytes | None, least_iterations: int, random: Callable[[int], bytes]
    ) -> None:
        header = "n,," if binding is None else f"p={END_POINT},,"
        self._least = least_iterations
        self._secret = _prepared(secret)
        self._nonce = random(NONCE).hex()
        self._header = header
        self._bare = f"n={_prepared(user).replace('=', '=3D').replace(',', '=2C')},r={self._nonce}"
        self._bound = b64encode(header.encode() + (binding or b"")).decode()
        self._signature = b""  # what the server has to answer

    def first(self) -> bytes:
        return f"{self._header}{self._bare}".encode()

    async def final(self, message: bytes) -> bytes:
        """Our proof. Refuses, before computing anything, when the server asks for too little or too much."""
        text = received(message)
        found = _FIRST.fullmatch(text)
        if found is None:
            raise LoginFailed("the server's login message cannot be used")
        nonce, salt, asked = found[1], _decoded(found[2]), int(found[3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce or len(salt) < LEAST_SALT:
            raise LoginFailed("the server's login message cannot be used")
        if not self._least <= asked <= MAX_ITERATIONS:
            # Fewer rounds would hand a false server a proof that is cheap to guess at; more would only burn our time.
            raise LoginFailed(
                f"the server asks for {asked:,} hash rounds, but only {self._least:,} to {MAX_ITERATIONS:,} are safe"
            )
        if asked <= KEY_ITERATIONS:
            salted = self._salted(salt, asked)  # two milliseconds: a thread would take as long to start
        else:
            salted = await asyncio.to_thread(self._salted, salt, asked)
        return self._proof(salted, text, nonce)

    def verify(self, message: bytes) -> None:
        """Refuses unless the server proved that it knows us."""
        found = _FINAL.fullmatch(received(message))
        if not self._signature or found is None or not hmac.compare_digest(_decoded(found[1]), self._signature):
            raise LoginFailed("the server could not prove that it knows this account; do not trust it")

    def _salted(self, salt: bytes, iterations: int) -> bytes:
        return pbkdf2_hmac("sha256", self._secret.encode(), salt, iterations)

    def _proof(self, salted: bytes, server_first: str, nonce: str) -> bytes:
        """RFC 5802, 3, in its own words."""
        without_proof = f"c={self._bound},r={nonce}"
        auth_message = f"{self._bare},{server_first},{without_proof}".encode()
        client_key = _hmac(salted, b"Client Key")
        client_signature = _hmac(sha256(client_key).digest(), auth_message)
        self._signature = _hmac(_hmac(salted, b"Server Key"), auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, client_signature, strict=True))
        return f"{without_proof},p={b64encode(proof).decode()}".encode()


def _prepared(text: str) -> str:
    """By SASLprep (RFC 4013), which leaves printable ASCII as it is."""
    if text.isascii() and text.isprintable():
        return text
    from scramp.utils import ScramException, saslprep  # type: ignore[import-untyped]

    try:
        return str(saslprep(text))
    except (ScramException, ValueError):
        raise LoginFailed from None  # a secret that cannot be stored cannot be the right one


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise LoginFailed("the server's login message cannot be used") from None


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")

"""SCRAM-SHA-256 and -PLUS (RFC 5802, 7677), both sides, as step machines: bytes in, bytes out, no sockets, no store.

The arithmetic is scramp's. Ours is the caution around it: capped messages, one error for everything a peer can do
wrong, channel binding that cannot be talked away, and iteration counts a client agrees to before it computes them.
"""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any

from scramp import ScramClient, ScramException, ScramMechanism  # type: ignore[import-untyped]

from tieline.errors import InvalidArgument, LoginFailed
from tieline.login.credential import PLAIN, PLUS
from tieline.login.records import Verifier

__all__ = ["PLAIN", "PLUS", "ClientSide", "ServerSide"]

MESSAGE = 4096
"Bytes of the longest SCRAM message. Ours stay far below; a name in percent-encoding may take 1.5 KiB."

SALT = 16
"Bytes of every salt, real or mock: a length of its own would tell them apart."
KEY_ITERATIONS = 4096
"For random keys, which no number of guesses finds: the least that RFC 7677 allows."
PASSWORD_ITERATIONS = 600_000
"For passwords: what OWASP asks of PBKDF2-SHA256, about half a second."
MAX_ITERATIONS = 1_000_000
"The most a server may ask of a client; 10^9 would keep it busy for a quarter of an hour."

_NONCE = 24


def make_verifier(secret: str, iterations: int, random: Callable[[int], bytes]) -> Verifier:
    """What to store of a secret. Takes as long as its iterations do: call it in a thread.

    Raises InvalidArgument when the secret holds characters SASLprep refuses (control characters, newest emoji).
    """
    return _verifier(secret, random(SALT), iterations)


def matches(verifier: Verifier, secret: str) -> bool:
    """Whether this is the secret, for doors that get it in plain. As slow as make_verifier: call it in a thread."""
    try:
        computed = _verifier(secret, verifier.salt, verifier.iterations)
    except InvalidArgument:
        # No such secret can be stored; compute all the same, since a quick answer would be an answer.
        computed = _verifier("x", verifier.salt, verifier.iterations)
        return hmac.compare_digest(computed.stored_key, b"")
    return hmac.compare_digest(computed.stored_key, verifier.stored_key)


def mock_verifier(key: bytes, user: str, iterations: int) -> Verifier:
    """The verifier of somebody who is not there: always the same for the same name, and no secret fits it."""
    salt, stored, server = (
        hmac.digest(key, f"{part}:{user}".encode(), "sha256") for part in ("salt", "stored", "server")
    )
    return Verifier(salt[:SALT], stored, server, iterations)


def _verifier(secret: str, salt: bytes, iterations: int) -> Verifier:
    try:
        return Verifier(*ScramMechanism(PLAIN).make_auth_info(secret, iterations, salt))
    except (ScramException, UnicodeError):
        raise InvalidArgument("the password holds a character that cannot be typed everywhere; choose others") from None


class ServerSide:
    """The server's half. Call `user()` with the client's first message, look its verifier up, then `first`, `final`."""

    def __init__(self, binding: bytes | None, random: Callable[[int], bytes]) -> None:
        self._binding = None if binding is None else ("tls-server-end-point", binding)
        self._mechanism = ScramMechanism(PLAIN if binding is None else PLUS)
        self._nonce = random(_NONCE).hex()

    def user(self, message: bytes) -> str:
        """The user name in the client's first message, which is wholly checked on the way. Raises LoginFailed."""
        asked: list[str] = []

        # scramp asks for the verifier in the middle of a step, and cannot wait for a store: so the step is done
        # twice, once to hear who it is about.
        def note(user: str) -> tuple[bytes, bytes, bytes, int]:
            asked.append(user)
            return bytes(SALT), bytes(32), bytes(32), KEY_ITERATIONS

        self._begin(message, note)
        return asked[0]

    def first(self, message: bytes, verifier: Verifier) -> bytes:
        """The answer to the client's first message: nonce, salt, iterations."""
        stored = (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations)
        self._server = self._begin(message, lambda _: stored)
        return _sent(self._server.get_server_first())

    def final(self, message: bytes) -> bytes:
        """The answer to the client's proof, our own proof in it. Raises LoginFailed when theirs is none."""
        text = _received(message)
        try:
            self._server.set_client_final(text)
            return _sent(self._server.get_server_final())
        except (ScramException, ValueError):
            raise LoginFailed from None

    def _begin(self, message: bytes, verifier: Callable[[str], tuple[bytes, bytes, bytes, int]]) -> Any:
        text = _received(message)
        try:
            server: Any = self._mechanism.make_server(verifier, self._binding, self._nonce)
            server.set_client_first(text)
        except (ScramException, ValueError):
            raise LoginFailed("the first login message is not SCRAM as this server speaks it") from None
        return server


class ClientSide:
    """The client's half: `first()`, then `final(server's first)`, then `verify(server's final)`."""

    def __init__(
        self, user: str, secret: str, binding: bytes | None, least_iterations: int, random: Callable[[int], bytes]
    ) -> None:
        bound = None if binding is None else ("tls-server-end-point", binding)
        mechanism = PLAIN if binding is None else PLUS
        self._least = least_iterations
        try:
            self._client = ScramClient([mechanism], user, secret, bound, random(_NONCE).hex())
        except (ScramException, ValueError):
            raise LoginFailed from None  # a secret that cannot be stored cannot be the right one

    def first(self) -> bytes:
        return _sent(self._client.get_client_first())

    async def final(self, message: bytes) -> bytes:
        """Our proof. Raises LoginFailed, before computing anything, when the server asks too little or too much."""
        text = _received(message)
        try:
            self._client.set_server_first(text)
            asked = int(self._client.iterations)
        except (ScramException, ValueError):
            raise LoginFailed("the server's login message cannot be used") from None
        if not self._least <= asked <= MAX_ITERATIONS:
            # Fewer rounds would hand a false server a proof that is cheap to guess at; more would only burn our time.
            raise LoginFailed(
                f"the server asks for {asked:,} hash rounds, but only {self._least:,} to {MAX_ITERATIONS:,} are safe"
            )
        return _sent(await asyncio.to_thread(self._client.get_client_final))

    def verify(self, message: bytes) -> None:
        """Raises LoginFailed unless the server proved that it knows us."""
        text = _received(message)
        try:
            self._client.set_server_final(text)
        except (ScramException, ValueError):
            raise LoginFailed("the server could not prove that it knows this account; do not trust it") from None


def _received(message: bytes) -> str:
    if len(message) > MESSAGE:
        raise LoginFailed(f"a login message of {len(message):,} bytes came, the limit is {MESSAGE:,}")
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise LoginFailed("a login message is not text") from None


def _sent(message: str) -> bytes:
    return message.encode()

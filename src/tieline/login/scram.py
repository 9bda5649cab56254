"""The server's side of SCRAM-SHA-256 and -PLUS (RFC 5802, 7677), as a step machine: bytes in, bytes out, no store.

The arithmetic is scramp's. Ours is the caution around it: capped messages, one error for everything a peer can do
wrong, and channel binding that cannot be talked away. The client's side is scram_client.py.
"""

import hmac
from collections.abc import Callable
from typing import Any

from scramp import ScramException, ScramMechanism  # type: ignore[import-untyped]

from tieline.errors import InvalidArgument, LoginFailed
from tieline.login.credential import PLAIN, PLUS
from tieline.login.records import Verifier
from tieline.login.scram_bounds import END_POINT, KEY_ITERATIONS, NONCE, received

SALT = 16
"Bytes of every salt, real or mock: a length of its own would tell them apart."


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
        self._binding = None if binding is None else (END_POINT, binding)
        self._mechanism = ScramMechanism(PLAIN if binding is None else PLUS)
        self._nonce = random(NONCE).hex()

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
        text = received(message)
        try:
            self._server.set_client_final(text)
            return _sent(self._server.get_server_final())
        except (ScramException, ValueError):
            raise LoginFailed from None

    def _begin(self, message: bytes, verifier: Callable[[str], tuple[bytes, bytes, bytes, int]]) -> Any:
        text = received(message)
        try:
            server: Any = self._mechanism.make_server(verifier, self._binding, self._nonce)
            server.set_client_first(text)
        except (ScramException, ValueError):
            raise LoginFailed("the first login message is not SCRAM as this server speaks it") from None
        return server


def _sent(message: str) -> bytes:
    return message.encode()

"""The client's half of sealed datagrams: says hello until it is welcomed, pings when it hears nothing. Pure, no clock.

A server that was restarted knows no session of ours and says nothing. So a silence is met with pings, and pings that
stay unanswered with a new hello; meanwhile the old session goes on, in case it was only the network.
"""

import os
from collections.abc import Callable

from tieline.errors import LinkClosed
from tieline.wire import sealed
from tieline.wire.sealed import HEADER, ID, MESSAGE, OVERHEAD, PING, PONG, SALT, WELCOME, Key, Session

FIRST_AGAIN, LAST_AGAIN = 0.2, 10.0
"Seconds between hellos: doubled each time, from the first to the last."
PINGS, PING_AGAIN = 3, 0.3
"Unanswered pings before a new hello, and seconds between them."


class SealedClient:
    """Times are seconds of any clock that only goes forward. Give `tick(now)` its turn at `deadline()`."""

    def __init__(
        self,
        key: Key,
        dropped: Callable[[str], None],
        *,
        silence: float = 20.0,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.key = key
        self.silence = silence
        "Seconds without a verified datagram after which the server is pinged."
        self.out: list[bytes] = []
        "Datagrams to send. Take them out after each call."
        self._dropped = dropped
        self._random = random
        self._session: Session | None = None
        self._previous: Session | None = None
        self._salt = b""  # of the hello that has no welcome yet
        self._again = FIRST_AGAIN
        self._due: float | None = None  # the next hello or ping
        self._pings = 0

    @property
    def verified(self) -> bool:
        """True once the server has proven to hold the key."""
        return self._session is not None

    def start(self, now: float) -> None:
        """Say hello. Each hello has a salt of its own, and is welcomed once."""
        self._salt = self._random(SALT)
        self._again = FIRST_AGAIN
        self._say_hello(now)

    def doubt(self, now: float) -> None:
        """An answer stayed out: find out now whether the server still knows us."""
        if not self._salt and not self._pings:
            self._due = now

    def seal(self, message: bytes) -> bytes:
        if self._session is None:
            raise LinkClosed("there is no verified session with the server yet")
        return self._session.seal(message)

    def receive(self, datagram: bytes, now: float) -> bytes | None:
        """The message of a verified datagram, or None."""
        if len(datagram) < OVERHEAD:
            return self._dropped("malformed")
        kind = datagram[0]
        if kind == WELCOME:
            self._welcomed(datagram, now)
            return None
        session = self._session_of(datagram[1 : 1 + ID])
        if session is None:
            return self._dropped("unknown session")
        standing = session.window.standing(int.from_bytes(datagram[9 : HEADER.size]))
        if standing != "new":
            return self._dropped(standing)
        message = session.open(datagram)
        if message is None:
            return self._dropped("forged")
        if session is self._session and not self._salt:
            self._pings = 0
            self._due = now + self.silence
        if kind == MESSAGE:
            return message
        return None if kind == PONG else self._dropped("malformed")

    def deadline(self) -> float | None:
        return self._due

    def tick(self, now: float) -> None:
        if self._due is None or now < self._due:
            return
        if self._salt:
            self._say_hello(now)
        elif self._pings < PINGS:
            self._ping(now)
        else:
            self.start(now)

    def __repr__(self) -> str:
        state = "verified" if self.verified else "not verified yet"
        return f"<SealedClient {state}{' saying hello' if self._salt else ''} key {self.key.id.hex()}>"

    def _welcomed(self, datagram: bytes, now: float) -> None:
        salt = datagram[1 + ID : 1 + ID + SALT]
        # One welcome for each hello, or a welcome played back would begin its session again with the counter at 0.
        if salt != self._salt:
            return self._dropped("replayed")
        if not sealed.is_authentic(self.key, datagram):
            return self._dropped("forged")
        server_salt = datagram[1 + ID + SALT : 1 + ID + 2 * SALT]
        self._previous = self._session
        self._session = Session(self.key, salt, server_salt, server=False)
        self._salt = b""
        self._pings = 0
        # Until the server has heard something in the new session it knows no way to us.
        self._ping(now)
        return None

    def _session_of(self, id: bytes) -> Session | None:
        for session in (self._session, self._previous):
            if session is not None and session.id == id:
                return session
        return None

    def _say_hello(self, now: float) -> None:
        self.out.append(sealed.hello(self.key, self._salt))
        self._due = now + self._again
        self._again = min(self._again * 2, LAST_AGAIN)

    def _ping(self, now: float) -> None:
        assert self._session is not None
        self._pings += 1
        self._due = now + PING_AGAIN
        self.out.append(self._session.seal(b"", PING))

"""The server's half of sealed datagrams: datagrams in, verified messages and answers out. Pure, no clock.

Keeps nothing for whoever does not hold a key: an unknown key or session costs a look into a dictionary. A hello that is
played back makes one waiting session at most, which gives way to others and never to one that was used.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from tieline.errors import LinkClosed
from tieline.wire import sealed
from tieline.wire.keyring import Keyring
from tieline.wire.sealed import HEADER, HELLO, ID, MESSAGE, OVERHEAD, PING, PONG, SALT, Key, Session

WAITING = 256
"Sessions of one key that were welcomed and not used yet; one more replaces the oldest."
UNUSED: Final = None
Sender = Any


class Known:
    """A session the server knows, and where its client was heard last."""

    __slots__ = ("book", "sender", "session", "welcome")

    def __init__(self, book: "Book", session: Session) -> None:
        self.book = book
        self.session = session
        self.welcome = sealed.welcome(session)
        self.sender: Sender = UNUSED


class Book:
    """The sessions of one key, oldest first: `waiting` by the client's salt, `used` by id."""

    __slots__ = ("key", "limit", "used", "waiting")

    def __init__(self, key: Key, limit: int) -> None:
        self.key = key
        self.limit = limit
        self.waiting: OrderedDict[bytes, Known] = OrderedDict()
        self.used: OrderedDict[bytes, Known] = OrderedDict()


class SealedServer:
    """`receive` gives the message of a verified datagram, or None; what must be sent back lies in `out` then."""

    def __init__(
        self, keys: Keyring, dropped: Callable[[str], None], *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.keys = keys
        self.out: list[bytes] = []
        "Datagrams to send to whom the last one came from. Take them out."
        self._dropped = dropped
        self._random = random
        self._books: dict[bytes, Book] = {}
        self._by_id: dict[bytes, Known] = {}
        self._by_sender: dict[Sender, Known] = {}
        keys.on_revoke.append(self.forget)

    def receive(self, datagram: bytes, sender: Sender) -> bytes | None:
        known = self._by_id.get(datagram[1 : 1 + ID])
        if known is None:
            self._unknown(datagram)
            return None
        if len(datagram) < OVERHEAD:
            return self._dropped("malformed")
        session = known.session
        kind, counter = datagram[0], int.from_bytes(datagram[9 : HEADER.size])
        standing = session.window.standing(counter)
        if standing != "new":
            return self._dropped(standing)
        newest = counter > session.window.newest
        message = session.open(datagram)
        if message is None:
            return self._dropped("forged")
        # The client is where its newest datagram came from: it may have changed its network.
        if newest and known.sender != sender:
            self._moved(known, sender)
        known.book.used.move_to_end(session.id)
        if kind == MESSAGE:
            return message
        if kind == PING:
            self.out.append(session.seal(b"", PONG))
            return None
        return self._dropped("malformed")

    def seal(self, message: bytes, to: Sender) -> bytes:
        """Raises LinkClosed when nobody there has proven to hold a key."""
        known = self._by_sender.get(to)
        if known is None:
            raise LinkClosed(f"there is no verified session with {to}; it must send something first")
        return known.session.seal(message)

    def owner(self, sender: Sender) -> Any:
        """Whom the key was handed out to that this sender uses; None for a shared key and for strangers."""
        known = self._by_sender.get(sender)
        return None if known is None else self.keys.owner(known.book.key)

    def forget(self, key: Key) -> None:
        """End all sessions of a key, at once."""
        book = self._books.pop(key.id, None)
        if book is not None:
            for known in [*book.waiting.values(), *book.used.values()]:
                self._drop(known)

    def close(self) -> None:
        """Listen to the keyring no longer."""
        self.keys.on_revoke.remove(self.forget)

    @property
    def senders(self) -> list[Sender]:
        """Where verified clients were heard last."""
        return list(self._by_sender)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"<SealedServer {len(self._by_sender)} verified of {len(self._by_id)} sessions, {self.keys!r}>"

    # -- opening -------------------------------------------------------------------------------------------------

    def _unknown(self, datagram: bytes) -> None:
        if len(datagram) != sealed.OPENING_SIZE or datagram[0] != HELLO:
            return self._dropped("unknown session")
        key = self.keys.find(datagram[1 : 1 + ID])
        if key is None:
            return self._dropped("unknown key")
        if not sealed.is_authentic(key, datagram):
            return self._dropped("forged")
        self.out.append(self._welcome(key, datagram[1 + ID : 1 + ID + SALT]))
        return None

    def _welcome(self, key: Key, client_salt: bytes) -> bytes:
        book = self._books.get(key.id)
        if book is None:
            book = self._books[key.id] = Book(key, self.keys.sessions(key))
        known = book.waiting.get(client_salt)
        if known is None:
            server_salt = self._random(SALT)
            while server_salt[:ID] in self._by_id:
                server_salt = self._random(SALT)
            known = book.waiting[client_salt] = Known(book, Session(key, client_salt, server_salt, server=True))
            self._by_id[known.session.id] = known
            if len(book.waiting) > WAITING:
                self._drop(book.waiting.popitem(last=False)[1])
        return known.welcome

    def _moved(self, known: Known, sender: Sender) -> None:
        book, session = known.book, known.session
        if known.sender is UNUSED:
            book.waiting.pop(session.client_salt, None)
            book.used[session.id] = known
        elif self._by_sender.get(known.sender) is known:
            del self._by_sender[known.sender]
        known.sender = sender
        self._by_sender[sender] = known
        if len(book.used) > book.limit:
            self._drop(book.used.popitem(last=False)[1])

    def _drop(self, known: Known) -> None:
        self._by_id.pop(known.session.id, None)
        if self._by_sender.get(known.sender) is known:
            del self._by_sender[known.sender]

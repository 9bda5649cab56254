"""The keys a datagram endpoint knows: shared ones, and ones handed out to somebody until they are revoked. Pure."""

import os
from collections.abc import Callable
from typing import Any

from tieline.wire.sealed import ID, KEY, Key

SHARED_SESSIONS = 4096
HANDED_OUT_SESSIONS = 16


class Keyring:
    """`random(n)` gives n random bytes. Give one keyring to the endpoint and to the service that hands keys out."""

    def __init__(self, *shared: Key, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._keys: dict[bytes, Key] = {}
        self._owners: dict[bytes, Any] = {}
        self.on_revoke: list[Callable[[Key], None]] = []
        "Called with each key that is good no longer: whoever keeps sessions of it forgets them."
        for key in shared:
            self.add(key)

    def add(self, key: Key) -> None:
        """A shared key: whoever holds it may send, many at a time."""
        self._keys[key.id] = key

    def issue(self, owner: object, address: str = "") -> Key:
        """A fresh key for `owner`, which the endpoint will name for what is sealed with it."""
        key = Key(self._random(ID), self._random(KEY), address)
        self._keys[key.id] = key
        self._owners[key.id] = owner
        return key

    def revoke(self, id: bytes) -> bool:
        """Forget a key: what is sealed with it is dropped from now on. False when there is none."""
        key = self._keys.pop(id, None)
        if key is None:
            return False
        self._owners.pop(id, None)
        for forget in self.on_revoke:
            forget(key)
        return True

    def find(self, id: bytes) -> Key | None:
        return self._keys.get(id)

    def owner(self, key: Key) -> Any:
        """Whom the key was handed out to; None for a shared one."""
        return self._owners.get(key.id)

    def sessions(self, key: Key) -> int:
        """How many sessions the key is good for at a time: the oldest gives way to one more."""
        return HANDED_OUT_SESSIONS if key.id in self._owners else SHARED_SESSIONS

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Keyring {len(self._keys) - len(self._owners)} shared, {len(self._owners)} handed out>"

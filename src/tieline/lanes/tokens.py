"""What opens a lane: a token that a logged-in link was given, good once, for a short while, and gone with that link.

Handed out and forgotten on the loop; taken in any thread.
"""

import secrets
import time
from collections.abc import Callable

from tieline.errors import Overloaded
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.rpc.peer import Peer

SIZE = 32
"Bytes of a token, from the system's randomness."


class Tokens:
    """`issue` to a peer, `take` from a caller."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._held: dict[bytes, tuple[Identity, float]] = {}
        self._of: dict[Peer, list[bytes]] = {}

    def issue(self, peer: Peer) -> bytes:
        """A token for this caller. Raises Overloaded for one who asks for many and uses none."""
        if peer not in self._of:
            self._of[peer] = []
            peer.on_end(self._forget)
        mine = [token for token in self._of[peer] if self._is_good(token)]
        if len(mine) >= self._limits.lanes_per_account:
            raise Overloaded(f"{len(mine)} lanes were asked for and not opened; open those first")
        token = secrets.token_bytes(SIZE)
        self._held[token] = (peer.identity, self._clock() + self._limits.lane_token)
        self._of[peer] = [*mine, token]
        return token

    def take(self, token: bytes) -> Identity | None:
        """Who was given it; None when it is none, was used, is too old, or its owner has gone."""
        identity, until = self._held.pop(token, (None, 0.0))
        return identity if self._clock() < until else None

    def revoke(self, account: str, device: str | None) -> None:
        """None of an account's tokens, or of one of its devices, is good any more."""
        for token, (identity, _) in list(self._held.items()):
            if identity.account == account and device in (None, identity.device):
                self._held.pop(token, None)

    def _is_good(self, token: bytes) -> bool:
        if token in self._held and self._held[token][1] <= self._clock():
            self._held.pop(token, None)
        return token in self._held

    def _forget(self, peer: Peer) -> None:
        for token in self._of.pop(peer, ()):
            self._held.pop(token, None)

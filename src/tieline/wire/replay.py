"""Which counters have been seen: a window of the newest 1,024, so that each datagram counts once. Pure.

Datagrams may arrive in any order. One that is newer than all, or inside the window and not yet seen, is new; one behind
the window cannot be told from a repetition any more and is refused as such (RFC 4303, 3.4.3).
"""

from typing import Literal

SIZE = 1024
Standing = Literal["new", "replayed", "too old"]


class ReplayWindow:
    """`standing(counter)` asks, `mark(counter)` records. Mark only what is verified: no forger moves it."""

    __slots__ = ("_mask", "_seen", "newest", "size")

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.newest = -1
        self._mask = (1 << size) - 1
        self._seen = 0  # bit n: the counter newest - n has been seen

    def standing(self, counter: int) -> Standing:
        behind = self.newest - counter
        if behind < 0:
            return "new"
        if behind >= self.size:
            return "too old"
        return "replayed" if self._seen >> behind & 1 else "new"

    def mark(self, counter: int) -> None:
        ahead = counter - self.newest
        if ahead <= 0:
            self._seen |= 1 << -ahead & self._mask
            return
        # A jump of 2**60 must not shift by 2**60: whatever was seen is behind the window then.
        self._seen = ((self._seen << ahead) & self._mask | 1) if ahead < self.size else 1
        self.newest = counter

    def __repr__(self) -> str:
        return f"<ReplayWindow newest {self.newest}, {self._seen.bit_count()} of {self.size} seen>"

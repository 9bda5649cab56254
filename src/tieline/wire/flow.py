"""Credit of one channel, both directions: who may send how many bytes more. Pure arithmetic.

Credit may be overdrawn by one frame: a sender with any credit left may send one more, so that an item larger than the
window needs no cutting. An element costs its payload and ELEMENT bytes more. What waits for a reader is thereby bounded
by window + frame, however small or empty the elements are.
"""

import msgspec

from tieline.errors import ProtocolError
from tieline.wire.messages import UNREADABLE

MOST = 1 << 30
"Bytes. More credit than this is a mistake of the peer, not a wish."

ELEMENT = 64
"Bytes of credit that every ITEM and DATA costs on top: about what it costs to hold one."


class Flow:
    """`credit` is ours to spend; the rest counts what the peer may still send."""

    __slots__ = ("_allowed", "_unreported", "_window", "credit")

    def __init__(self, window: int, peer_window: int) -> None:
        self._window = window
        self._allowed = window  # what the peer may still send
        self._unreported = 0  # used up here, not yet granted again
        self.credit = peer_window
        "Bytes we may still send; above zero, one more frame may go."

    def sent(self, size: int) -> None:
        self.credit -= size + ELEMENT

    def granted(self, payload: bytes) -> None:
        """A CREDIT frame came in."""
        try:
            more = msgspec.msgpack.decode(payload, type=int)
        except UNREADABLE as error:
            raise ProtocolError(f"CREDIT is not a number: {error}") from error
        if more <= 0 or self.credit + more > MOST:
            raise ProtocolError(f"CREDIT of {more:,} bytes on top of {self.credit:,}; {MOST:,} are the most")
        self.credit += more

    def arrived(self, size: int) -> None:
        """The peer sent so much. Raises ProtocolError when it had no credit left."""
        if self._allowed <= 0:
            raise ProtocolError("a stream went on without credit")
        self._allowed -= size + ELEMENT

    def allow(self, more: int) -> None:
        """The peer was granted so much by somebody who counts for himself."""
        self._allowed += more

    def consumed(self, size: int, elements: int = 1) -> int:
        """Elements of this size in all were used up here. Returns the credit to grant now, 0 when that is not worth a
        frame."""
        self._unreported += size + ELEMENT * elements
        if self._unreported * 2 < self._window:
            return 0
        grant, self._unreported = self._unreported, 0
        self._allowed += grant
        return grant

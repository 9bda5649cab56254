"""One direction of a call that is passed on: elements of a stream from one channel to the other, as they came.

The sender is given credit only for what the receiver has given: as long as the receiver's window is no smaller than
ours nothing waits here, unless its socket does not take it. What does wait is at most our window and one frame.
"""

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tieline.errors import CallError, TooLarge
from tieline.limits import KiB
from tieline.link.frame_link import FrameLink
from tieline.rpc.outgoing import Outgoing
from tieline.wire.flow import ELEMENT
from tieline.wire.frames import Kind

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer
    from tieline.rpc.relay import Relay

_ITEM, _DATA, _END = int(Kind.ITEM), int(Kind.DATA), int(Kind.END)
_GATHER = 64 * KiB
"Bytes written together at most; only then is it known whether the socket takes more."


class End(NamedTuple):
    """One of the two channels of a call that is passed on."""

    peer: "Peer"
    link: FrameLink
    channel: int


class Half:
    """From `source` to `sink`. What `OpenCalls` does with the reading end of a stream it does with this."""

    __slots__ = (
        "_allowed",
        "_done",
        "_draining",
        "_finish",
        "_outgoing",
        "_queue",
        "_queued",
        "_relay",
        "_sink",
        "_source",
        "_step",
        "_unflushed",
        "_window",
    )

    def __init__(self, relay: "Relay", source: End, sink: End, window: int) -> None:
        self._relay = relay
        self._source = source
        self._sink = sink
        self._window = window
        # Whoever has read everything keeps less than half a window from us: so much must be worth passing on.
        self._step = max(1, min(window, sink.link.session.peer_window) // 2)
        self._allowed = window  # what the source may still send
        self._queue: deque[tuple[int, bytes]] = deque()
        self._queued = 0  # bytes of credit that the queue has cost
        self._finish: CallError | bool = False  # what comes after the queue: True for the stream's end
        self._outgoing: Outgoing | None = None
        self._draining = False
        self._done = False  # all of it has gone out, or goes nowhere
        self._unflushed = 0

    def push(self, payload: bytes, raw: bool) -> None:
        """One element came."""
        if self._done:
            return
        if self._outgoing is None:
            self._follow()
        kind = _DATA if raw else _ITEM
        self._allowed -= len(payload) + ELEMENT
        if self._queue or not self._has_room():
            self._queue.append((kind, payload))
            self._queued += len(payload) + ELEMENT
            self._wait()
        else:
            self._send(kind, payload)
        self._grant()

    def finish(self, error: BaseException | None = None) -> None:
        """The stream is complete; or `error` ended it, said by the source or found out here."""
        if error is None or (isinstance(error, CallError) and error.remote):
            self._finish = True if error is None else error
            if not self._queue:
                self._end()
        else:
            self.drop()
        self._relay.source_ended(self, error)

    def drop(self) -> None:
        """What waits goes nowhere."""
        self._done = True
        self._queue.clear()
        self._queued = 0
        if self._outgoing is not None:
            self._outgoing.unfollow(self._sink.channel)

    @property
    def waiting(self) -> int:
        """Bytes held here."""
        return sum(len(payload) for _, payload in self._queue)

    # -- small things --------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        if self._sink.peer.link is self._sink.link:
            self._outgoing = self._sink.peer.outgoing
            self._outgoing.follow(self._sink.channel, self._go_on)

    def _go_on(self) -> None:
        """The receiver gave credit, or its socket has drained."""
        if self._done:
            return
        while self._queue and self._has_room():
            kind, payload = self._queue.popleft()
            self._queued -= len(payload) + ELEMENT
            self._send(kind, payload)
        if self._queue:
            self._wait()
        elif self._finish:
            self._end()
        self._grant()

    def _has_room(self) -> bool:
        return not self._sink.link.stream.paused and self._sink.link.session.credit(self._sink.channel) > 0

    def _wait(self) -> None:
        """Of credit one is told anyway."""
        if self._sink.link.stream.paused and not self._draining and self._outgoing is not None:
            self._draining = True
            self._outgoing.drained().add_done_callback(lambda _: self._drained())

    def _drained(self) -> None:
        self._draining = False
        self._go_on()

    def _send(self, kind: int, payload: bytes) -> None:
        link = self._sink.link
        try:
            link.session.send(kind, self._sink.channel, payload)
        except TooLarge as error:
            self._relay.fail(error)
            return
        self._unflushed += len(payload)
        if self._unflushed < _GATHER:
            link.flush_soon()
        else:
            self._unflushed = 0
            link.flush()

    def _end(self) -> None:
        self.drop()
        self._relay.sink_done(self, None if self._finish is True else self._finish or None)

    def _grant(self) -> None:
        """Credit the source with what the sink has: no more than keeps the queue within our window."""
        if self._done or self._finish:
            return
        more = min(self._window, self._sink.link.session.credit(self._sink.channel)) - self._queued - self._allowed
        if more >= self._step:
            self._allowed += more
            self._source.link.session.grant(self._source.channel, more)
            self._source.link.flush_soon()

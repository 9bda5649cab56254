"""What can be subscribed to. A topic is a log; a subscriber is a position in it.

An event is encoded once for all subscribers. Whoever keeps up gets everything of a tick in one write; whoever does not
is left alone until its socket drains, and then read on from where it stopped: from the newest events kept in memory,
or from the topic's log behind them. Memory per subscriber is one position.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tieline.errors import TooLarge
from tieline.limits import DEFAULT, KiB, Limits
from tieline.link.frame_link import FrameLink
from tieline.wire.frames import HEADER, Kind, frame
from tieline.wire.messages import Event, encode

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer

log = logging.getLogger("tieline.topics")

Read = Callable[[int, int], Awaitable[list[tuple[int, Any]]]]
"read(after, limit): the next events of the log behind a topic, as (position, value), at most `limit`"

_EVENT = int(Kind.EVENT)
_pack = HEADER.pack
_CHUNK = 256 * KiB
"Bytes written to one subscriber at a time, so that one far behind does not hold up the loop."

_RETRY = 1.0
"Seconds until a log that could not be read is tried again."


class Subscriber:
    """A peer's position in a topic, for as long as its link lasts. `position` is the last one sent to it."""

    __slots__ = ("catching_up", "held", "link", "peer", "position", "topic")

    def __init__(self, peer: "Peer", link: FrameLink, topic: "Topic", position: int) -> None:
        self.peer = peer
        self.link = link
        self.topic = topic
        self.position = position
        self.catching_up: asyncio.Task[None] | None = None
        self.held = False
        "True while it wants nothing, until it asks again."

    @property
    def reads(self) -> bool:
        """Whether its link takes more."""
        return self.link.ended_with is None and not self.link.stream.paused


class Topic:
    """`read` is the log behind it; without one it remembers `limits.topic_tail` bytes of newest events.

    `begun` is the position its log had when the server began: what is behind it is news to whoever has seen more than
    there is. `settled()` waits until all that is stored is published.

    `latest=True` is a topic whose newest value is all that matters (presence): a new subscriber gets it at once.
    `on_change(peer, subscribed)` hears who comes and goes.
    """

    __slots__ = (
        "_begun",
        "_current",
        "_first",
        "_latest",
        "_limits",
        "_pump_planned",
        "_read",
        "_settled",
        "_tail",
        "_tail_bytes",
        "_unsent",
        "name",
        "on_change",
        "position",
        "subscribers",
    )

    def __init__(
        self,
        name: str,
        *,
        position: int = 0,
        read: Read | None = None,
        latest: bool = False,
        begun: int | None = None,
        settled: Callable[[], Awaitable[object]] | None = None,
        on_change: Callable[["Peer", bool], None] | None = None,
        limits: Limits = DEFAULT,
    ) -> None:
        self.name = name
        self.position = position
        "Of the newest event; 0 when there is none."
        self.on_change = on_change
        self.subscribers: set[Subscriber] = set()
        self._current: dict[Subscriber, FrameLink] = {}  # those who keep up
        self._begun = position if begun is None else begun
        self._settled = settled
        self._read = read
        self._latest = latest
        self._limits = limits
        self._tail: list[bytes] = []  # newest events, encoded
        self._first = position + 1  # position of _tail[0]
        self._tail_bytes = 0
        self._unsent = 0  # bytes since the last pump
        self._pump_planned = False

    def publish(self, value: Any, position: int | None = None) -> int:
        """Add an event; returns its position. The log behind the topic, if any, must have it already.

        Raises ValueError when `position` is not the next one, TooLarge when the event does not fit a frame.
        """
        following = self.position + 1
        if position is not None and position != following:
            raise ValueError(f"{self.name}: position {position} after {self.position}")
        payload = encode(Event(self.name, following, value))
        size = len(payload)
        if size > self._limits.frame:
            raise TooLarge(f"{self.name}: an event of {size:,} bytes fits no frame ({self._limits.frame:,})")
        self.position = following
        if self._latest:
            self._drop(len(self._tail))
        self._tail.append(_pack(size, _EVENT, 0) + payload)
        size += HEADER.size
        self._tail_bytes += size
        self._unsent += size
        if self._unsent > _CHUNK:
            # A flood is sent at once, or the tail would lose what nobody was sent yet.
            if self._pump():
                self._plan_pump()
        elif self._current and not self._pump_planned:
            self._plan_pump()
        if self._tail_bytes > self._limits.topic_tail:
            self._drop(len(self._tail) // 2)
        return following

    # -- subscribers ---------------------------------------------------------------------------------------------

    def reaches(self, after: int | None) -> bool:
        """Whether there was such a position."""
        return after is None or after <= self.position

    async def settled(self) -> None:
        """Wait until all that is stored, and so may be known of, is published."""
        if self._settled is not None:
            await self._settled()

    def subscribe(self, peer: "Peer", link: FrameLink, after: int | None) -> Subscriber:
        """From now on `peer` gets everything behind `after` (None: what comes from now). Use `peer.attach`."""
        subscriber = Subscriber(peer, link, self, self._start(after))
        self.subscribers.add(subscriber)
        # It is sent nothing before the answer that tells it so, whatever `on_change` publishes.
        asyncio.get_running_loop().call_soon(self.resume, subscriber)
        self._changed(peer, came=True)
        return subscriber

    def rewind(self, subscriber: Subscriber, after: int | None) -> int:
        """Send again what is behind `after`; never skips. Returns the position behind which it begins."""
        start = self._start(after)
        subscriber.position = min(subscriber.position, start)
        subscriber.held = False
        self.resume(subscriber)
        return start

    def hold(self, subscriber: Subscriber) -> None:
        """Send it nothing until it is rewound: its reader has fallen behind, and would not take it."""
        subscriber.held = True
        self._stop_sending(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        if subscriber in self.subscribers:
            self.subscribers.discard(subscriber)
            self._stop_sending(subscriber)
            self._changed(subscriber.peer, came=False)

    def resume(self, subscriber: Subscriber) -> None:
        """Its socket has drained, or it is new: go on from its position."""
        if subscriber.catching_up is not None or subscriber.held or subscriber not in self.subscribers:
            return
        if subscriber not in self._current and self._reads_on(subscriber.position):
            assert self._read is not None
            task = asyncio.get_running_loop().create_task(self._catch_up(subscriber, self._read))
            subscriber.catching_up = task
            return
        self._current[subscriber] = subscriber.link
        if subscriber.position < self.position:
            self._plan_pump()

    def __repr__(self) -> str:
        return f"<Topic {self.name} at {self.position} subscribers={len(self.subscribers)}>"

    # -- sending -------------------------------------------------------------------------------------------------

    def _plan_pump(self) -> None:
        if not self._pump_planned:
            self._pump_planned = True
            asyncio.get_running_loop().call_soon(self._planned_pump)

    def _planned_pump(self) -> None:
        self._pump_planned = False
        if self._pump():
            self._plan_pump()

    def _pump(self) -> bool:
        """Send everybody who keeps up what is new. True when somebody still has more to get."""
        head = self.position
        self._unsent = 0
        after, frames, reached = head, b"", head
        chunks = {head: (b"", head)}
        slow: list[Subscriber] = []
        for subscriber, link in self._current.items():
            if subscriber.position != after:  # nearly all are where the one before was
                after = subscriber.position
                if after not in chunks:
                    chunks[after] = (b"", head) if self._reads_on(after) else self._chunk(after)
                frames, reached = chunks[after]
            if frames and not link.stream.paused:
                link.send_events(frames)
                subscriber.position = reached
            elif after != head:
                slow.append(subscriber)
        for subscriber in slow:
            self._current.pop(subscriber, None)
            if subscriber.reads:
                self.resume(subscriber)
        return any(reached < head for _, reached in chunks.values())

    def _reads_on(self, position: int) -> bool:
        """Whether what comes behind the position is in the log only."""
        return position + 1 < self._first and self._read is not None

    def _chunk(self, after: int) -> tuple[bytes, int]:
        """Encoded events behind `after`, and the position they reach."""
        start = max(0, after + 1 - self._first)
        events = self._tail[start:]
        if len(events) == 1:
            return events[0], self.position
        if sum(map(len, events)) > _CHUNK:
            sizes = accumulate(map(len, events))
            events = events[: next(count for count, size in enumerate(sizes, 1) if size > _CHUNK)]
        return b"".join(events), self._first + start + len(events) - 1

    async def _catch_up(self, subscriber: Subscriber, read: Read) -> None:
        """Read on from the log until the tail in memory takes over, as long as the socket takes it."""
        try:
            while subscriber.reads and self._reads_on(subscriber.position):
                asked, first = subscriber.position, self._first
                entries = await read(asked, self._limits.subscribe_page)
                if subscriber.position != asked:
                    continue  # rewound meanwhile
                if entries:
                    self._send_entries(subscriber, entries)
                else:
                    subscriber.position = first - 1  # the log does not reach back so far: go on with what is here
        except Exception:  # whatever it was: the subscriber must not stand still for it
            log.exception("reading on from the log of %s failed", self.name)
            asyncio.get_running_loop().call_later(_RETRY, self.resume, subscriber)
            return
        finally:
            if subscriber.catching_up is asyncio.current_task():
                subscriber.catching_up = None
        if subscriber.reads:
            self.resume(subscriber)

    def _send_entries(self, subscriber: Subscriber, entries: list[tuple[int, Any]]) -> None:
        """Not more of them than the socket takes; the rest is read again."""
        gathered: list[bytes] = []
        size = 0
        for position, value in entries:
            gathered.append(frame(_EVENT, 0, encode(Event(self.name, position, value))))
            size += len(gathered[-1])
            if size > self._limits.send_buffer or position == entries[-1][0]:
                if not subscriber.reads:
                    return
                subscriber.link.send_events(b"".join(gathered))
                subscriber.position = position
                gathered, size = [], 0

    def _stop_sending(self, subscriber: Subscriber) -> None:
        self._current.pop(subscriber, None)
        if subscriber.catching_up is not None:
            subscriber.catching_up.cancel()
            subscriber.catching_up = None

    def _changed(self, peer: "Peer", *, came: bool) -> None:
        if self.on_change is not None:
            try:
                self.on_change(peer, came)
            except Exception:  # what is to be done is others', and the subscriber is counted already
                log.exception("what was to be done about a subscriber of %s failed", self.name)

    def _start(self, after: int | None) -> int:
        # A position that is not reached yet is one of an earlier server, whose clock was ahead maybe, or whose log was
        # longer: all since this one began is news, or of a topic whose newest value is all that matters, that value.
        if after is None or (self._latest and not self.reaches(after)):
            return self.position - 1 if self._latest and self._tail else self.position
        kept = 0 if self._read is not None else self._first - 1
        return max(kept, after if self.reaches(after) else self._begun)

    def _drop(self, count: int) -> None:
        self._tail_bytes -= sum(map(len, self._tail[:count]))
        del self._tail[:count]
        self._first += count

"""A `tieline/1` link: a stream and a session joined. Events go up by callback, frames go down and leave in one write.

It keeps the peer honest (an illegal frame or a silent peer closes the link, with the reason told to it) and bounded
(a peer that asks and does not read its answers is not read from either). What the frames mean is its owner's business.
"""

import asyncio
import logging
from typing import Protocol

from tieline.errors import LimitExceeded, LinkClosed, LinkError, ProtocolError
from tieline.limits import Limits
from tieline.link.parting import parting
from tieline.transports.stream import Stream
from tieline.wire.moves import Side
from tieline.wire.session import Event, Session

log = logging.getLogger("tieline.link")
_BATCH = 16
"""Events dealt with before their answers are written: what one read asks for may be far larger than the read. So few
that the other side works on the first answers while we work on the rest: all at once, and one would always wait."""


class Owner(Protocol):
    """Who the events are for: the login exchange first, then a peer."""

    def events(self, events: list[Event]) -> None: ...

    def writable(self, yes: bool) -> None: ...

    def ended(self, error: LinkError) -> None:
        """Exactly once; `error` says why."""


class FrameLink:
    """Give it to a `Stream` as receiver. `flush()` after sending; `flush_soon()` to gather a whole tick."""

    __slots__ = (
        "_flushing",
        "_held",
        "_limits",
        "_loop",
        "_now",
        "_reading",
        "_reason",
        "_timer",
        "_unsent",
        "ended_with",
        "owed",
        "owner",
        "session",
        "stream",
    )

    def __init__(self, side: Side, limits: Limits, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self.session = Session(side, limits, self._now())
        self.owner = owner
        self.stream: Stream
        self.ended_with: LinkError | None = None
        "Why it ended; None while it is open."
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self.owed = 0
        "Bytes written while the peer does not read."
        self._unsent = 0  # bytes not sent when the clock last looked
        self._held: list[Event] = []  # events of a peer that must read its answers first
        self._reading = True
        self._reason: LinkError | None = None

    def flush(self) -> None:
        """Write everything the session has to say, in one piece."""
        session = self.session
        if session.out:
            data, stream = session.take(), self.stream
            stream.write(data)
            if stream.paused:
                self._hold_back(len(data))

    def flush_answers(self) -> None:
        """The same, when the last one that the peer still waits for may be among it: then hang up, if it has taken its
        leave."""
        self.flush()
        if self.session.goodbye is not None:
            self._hang_up_when_done()

    def flush_soon(self) -> None:
        """Flush at the end of this tick, together with what else is sent in it."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def send_events(self, frames: bytes) -> None:
        """Whole EVENT frames, encoded once for all subscribers: now, behind what waits to be sent."""
        session, stream = self.session, self.stream
        if session.out:
            session.send_events(frames)
            frames = session.take()
        stream.write(frames)
        if stream.paused:
            self._hold_back(len(frames))

    def close(self, reason: str, *, code: str = "closing", retry_after: float | None = None) -> None:
        """Tell the peer why, send what waits, and close. The owner hears `ended` afterwards."""
        if self.ended_with is None and self._reason is None:
            self._reason = LinkClosed(reason)
            self.session.goaway(reason, code=code, retry_after=retry_after)
            self.flush()
            self.stream.close()
            # A peer that does not read would keep a closing stream for ever.
            self._rearm(self._now() + self._limits.drain)

    def watch_closely(self, seconds: float) -> None:
        """Ping the peer sooner than the limits say: somebody else waits for it."""
        if seconds < self.session.ping and self._reason is None and self.ended_with is None:
            self.session.ping = seconds
            self._rearm(self.session.deadline())

    def abort(self, error: LinkError) -> None:
        """Close at once, without a word to the peer."""
        if self._reason is None:
            self._reason = error
        self.stream.abort()

    # -- the stream's side ---------------------------------------------------------------------------------------

    def opened(self, stream: Stream) -> None:
        self.stream = stream
        self._rearm(self.session.deadline())
        self.flush_soon()

    def received(self, data: bytes | memoryview) -> None:
        if self._reason is not None:
            return  # closing: nothing more is taken
        session, now = self.session, self._now
        try:
            events = session.receive(data, now())
            if len(events) > _BATCH or self._held:
                self._held += events
                self._deal()
            elif events:
                self.owner.events(events)
        except Exception as error:  # bad frames and faults of ours end this link; told apart there
            self._refuse(error)
            return
        if session.out:
            self.flush()
        elif len(events) > 1:
            # Who waited for these runs next. What they ask for then leaves right behind them, while those who wait for
            # what another link has brought still run; gathered from then on, it would leave behind all of them.
            self.flush_soon()
        if session.goodbye is not None:
            self._hang_up_when_done()

    def finished(self) -> None:
        # tieline/1 has no use for a half-open link: answers to a peer that hung up are kept by nobody.
        self.stream.close()

    def ended(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._held.clear()
        goodbye = self.session.goodbye
        if self._reason is not None:
            why = self._reason
        elif goodbye is not None:
            why = LinkClosed(goodbye.reason)
        else:
            why = LinkClosed(parting(error))
        if error is not None and self._reason is None:
            why.__cause__ = error
        self.ended_with = why
        self.owner.ended(why)

    def writable(self, yes: bool) -> None:
        if yes:
            self.owed = 0
            if not self._reading:
                self._reading = True
                self.stream.resume_reading()
            if self._held:
                self._go_on()
        self.owner.writable(yes)

    def __repr__(self) -> str:
        state = "open" if self.ended_with is None else "closed"
        return (
            f"<FrameLink {state} {self.stream.info.kind} {self.stream.info.remote} {self.session.state.name.lower()}>"
        )

    # -- small things --------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushing = False
        self.flush_answers()

    def _deal(self) -> None:
        """Events in batches, as long as the peer reads what they are answered with."""
        while self._held and self._reading and self._reason is None:
            batch = self._held[:_BATCH]
            del self._held[:_BATCH]
            self.owner.events(batch)
            self.flush()

    def _go_on(self) -> None:
        try:
            self._deal()
        except Exception as error:  # as in `received`
            self._refuse(error)
            return
        self._hang_up_when_done()

    def _hang_up_when_done(self) -> None:
        # Whoever still reads must be the one to close: writing to a side that closed first breaks the link at once,
        # and with it goes all that was sent and not yet read.
        if not self._held and not self.session.open_channels and self.session.goodbye is not None:
            self.close(self.session.goodbye.reason)

    def _hold_back(self, size: int) -> None:
        self.owed += size
        # Of two sides that both read only when the other has read, none would ever: so a client always reads.
        if self.owed > self._limits.send_buffer and self._reading and self.session.side is not Side.CLIENT:
            self._reading = False
            self.stream.pause_reading()

    def _refuse(self, error: Exception) -> None:
        """Tell the peer what it did wrong, or that this side failed, and close."""
        self._held.clear()
        if isinstance(error, ProtocolError | LimitExceeded):
            self._reason = wrong = error if isinstance(error, ProtocolError) else ProtocolError(str(error))
            self.session.goaway(f"protocol error: {wrong.reason[:500]}", code="protocol")
        else:
            log.error("%r is closed: dealing with what came in failed", self, exc_info=error)
            self._reason = LinkClosed("this side failed; its log says why")
            self.session.goaway("the other side failed; its log says why", code="internal")
        self.flush()
        self.stream.close()
        self._rearm(self._now() + 1.0)

    def _rearm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._reason is not None:
            self.stream.abort()
            return
        now = self._now()
        if not self._reading:
            # It is not heard because we do not listen; as long as it takes what we owe it, it is alive.
            unsent = self.stream.buffered()
            if unsent < self._unsent:
                self.session.alive(now)
            self._unsent = unsent
        try:
            self.session.tick(now)
        except LinkClosed as error:
            self.abort(error)
            return
        self.flush()
        self._rearm(self.session.deadline())

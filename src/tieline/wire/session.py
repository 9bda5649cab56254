"""One end of a `tieline/1` link, without sockets and without a clock: bytes in -> events, frames out -> bytes.

    events = session.receive(data, now)      # raises ProtocolError or LimitExceeded: then close
    session.send(Kind.RESULT, channel, payload); data = session.take()
    session.tick(now); session.deadline()

Both ends use this class with their `Side`. It knows which moves are legal, counts credit, and answers pings. Until the
link is open, `opening.py` says what may be said.
"""

import msgspec

from tieline.errors import LinkClosed, ProtocolError, TooLarge
from tieline.limits import Limits
from tieline.wire.flow import Flow
from tieline.wire.frames import HEADER, PREFACE, FrameCutter, Kind
from tieline.wire.messages import UNREADABLE, Call, GoAway, Hello, encode, read
from tieline.wire.moves import CHANNEL_KINDS, ChannelState, LinkState, Moves, Role, Side, compiled, illegal
from tieline.wire.numbers import CHANNELS, check_order, is_past, next_free
from tieline.wire.opening import Opening

Event = tuple[int, int, "bytes | Call | GoAway | Hello"]
"kind, channel, content: the decoded struct for HELLO, CALL and GOAWAY, else the payload."

_AS_CALLER, _AS_CALLEE = compiled(Role.CALLER), compiled(Role.CALLEE)
_CALLING, _CALLING_STREAM = _AS_CALLER[ChannelState.WAITING], _AS_CALLER[ChannelState.SENDING]
_CALLED, _CALLED_STREAM = _AS_CALLEE[ChannelState.WAITING], _AS_CALLEE[ChannelState.SENDING]
_CREDIT, _END = int(Kind.CREDIT), int(Kind.END)
_UNCOUNTED = {_CREDIT, _END}
"Of the kinds that leave a channel open, those that cost no credit; the others are ITEM and DATA."
_CALL, _EVENT, _PING, _PONG, _GOAWAY = (
    int(Kind.CALL),
    int(Kind.EVENT),
    int(Kind.PING),
    int(Kind.PONG),
    int(Kind.GOAWAY),
)
_read_call = msgspec.msgpack.Decoder(Call).decode
_pack, _unpack = HEADER.pack, HEADER.unpack_from
_CLIENT = Side.CLIENT
"By a name of ours: to look up a member of an enum costs as much as to call a function, for every frame."


class Session:
    """`state` tells where the link is; `closing` is True once either side said GOAWAY."""

    __slots__ = (
        "_channels",
        "_cutter",
        "_farewell",
        "_flows",
        "_heard",
        "_last_local",
        "_last_remote",
        "_limits",
        "_open",
        "_opening",
        "_peer_frame",
        "_peer_window",
        "_pinged",
        "closing",
        "goodbye",
        "out",
        "ping",
        "side",
    )

    def __init__(self, side: Side, limits: Limits, now: float) -> None:
        self.side = side
        self.closing = False
        self.goodbye: GoAway | None = None
        "What the peer said when it took its leave."
        self.ping = limits.ping
        "Seconds of silence after which the peer is pinged; after twice that it is gone."
        self._limits = limits
        self._opening = Opening(side, limits)
        self._open = False  # what `state` says, asked for every frame
        self._cutter = FrameCutter(limits.login_frame)
        self._channels: dict[int, Moves] = {}
        self._flows: dict[int, Flow] = {}
        self._last_local = -1 if side is Side.CLIENT else 0
        self._last_remote = 0 if side is Side.CLIENT else -1
        self._peer_frame = self._peer_window = 0  # until the link is open
        self.out: list[bytes] = [PREFACE]
        "Frames to be written; `take` gives them as one piece."
        self._heard = now
        self._pinged = False
        self._farewell = ""  # the code of our last GOAWAY

    # -- bytes in ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview, now: float) -> list[Event]:
        """What the peer's bytes mean. Raises ProtocolError or LimitExceeded; the link is of no use after that."""
        self._heard = now
        self._pinged = False
        channels, cutter = self._channels, self._cutter
        if cutter.between and type(data) is bytes and len(data) >= 9:
            # Most reads of a quiet link are one whole frame, a call or its answer. What is below holds of it as well.
            length, kind, channel = _unpack(data)
            if length == len(data) - 9 and length <= cutter.limit:
                moves = channels.get(channel)
                if moves is None:
                    if kind == _CALL and self._open:
                        return [(kind, channel, self._called(channel, data[9:]))]
                elif kind in moves.last and not self._flows:
                    del channels[channel]
                    return [(kind, channel, data[9:])]
        events: list[Event] = []
        for event in cutter.feed(data):
            kind, channel, payload = event
            moves = channels.get(channel)
            if moves is not None:
                try:
                    following = moves.remote[kind]
                except KeyError:
                    raise illegal(kind, f"while the call is {moves.name.lower()}") from None
                if following is None:
                    del channels[channel]
                    if self._flows:
                        self._flows.pop(channel, None)
                else:
                    channels[channel] = following
                    if kind not in _UNCOUNTED:
                        flow = self._flows.get(channel) or self._flow(channel)
                        flow.arrived(len(payload))
                    elif kind == _CREDIT:
                        self._flow(channel).granted(payload)
                events.append(event)
            elif kind == _CALL and self._open:
                events.append((kind, channel, self._called(channel, payload)))
            elif not self._open:
                events.append((kind, channel, self._turn(kind, channel, payload)))
            elif channel == 0:
                self._link_level(kind, payload, events)
            elif kind not in CHANNEL_KINDS or not self._is_past(channel):
                raise illegal(kind, f"on channel {channel}, which was never opened")
            # A frame of a channel that ended here first was on its way already: dropped.
        if cutter.refused:  # too large, unless it was the WELCOME before it that raised the limit
            events += self.receive(b"", now)
        return events

    def _called(self, channel: int, payload: bytes) -> Call:
        if channel != self._last_remote + 2:
            check_order(channel, self._last_remote)
        try:
            call = _read_call(payload)
        except UNREADABLE as error:
            raise ProtocolError(f"not a valid CALL: {error}") from error
        self._last_remote = channel
        self._channels[channel] = _CALLED_STREAM if call.streaming else _CALLED
        return call

    def _turn(self, kind: int, channel: int, payload: bytes) -> "bytes | GoAway | Hello":
        """A frame before the link is open."""
        content = self._opening.received(kind, channel, payload)
        if isinstance(content, GoAway):
            self.closing, self.goodbye = True, content
        self._begin_if_open()
        return content

    def _link_level(self, kind: int, payload: bytes, events: list[Event]) -> None:
        if kind == _EVENT and self.side is _CLIENT:
            events.append((kind, 0, payload))
        elif kind == _PING:
            self.out.append(_pack(len(payload), _PONG, 0) + payload)
        elif kind == _GOAWAY:
            self.closing, self.goodbye = True, read(GoAway, payload)
            events.append((kind, 0, self.goodbye))
        elif kind != _PONG:
            raise illegal(kind, "on channel 0")

    # -- frames out ----------------------------------------------------------------------------------------------

    def call(self, payload: bytes, *, streaming: bool = False) -> int:
        """Open a channel with an encoded `Call`; returns the channel. Raises LinkClosed after GOAWAY, TooLarge."""
        if self.closing or not self._open:
            raise LinkClosed("the link is closing: no new calls")
        size = len(payload)
        if size > self._peer_frame:
            raise TooLarge(f"the call is {size:,} bytes, the peer accepts {self._peer_frame:,}; send less, or a stream")
        channel = self._last_local + 2
        if channel >= CHANNELS or channel in self._channels:
            channel = next_free(channel, self._channels)
        self._last_local = channel
        self._channels[channel] = _CALLING_STREAM if streaming else _CALLING
        self.out.append(_pack(size, _CALL, channel) + payload)
        return channel

    def send(self, kind: int, channel: int, payload: bytes | memoryview = b"") -> bool:
        """One frame of an open channel. False, and nothing sent, when the channel is over (the peer was faster).

        Raises TooLarge, and ProtocolError(remote=False) for an illegal move of ours.
        """
        moves = self._channels.get(channel)
        if moves is None:
            return False
        size = len(payload)
        if size > self._peer_frame:
            raise TooLarge(f"{size:,} bytes do not fit a frame; the peer accepts {self._peer_frame:,}")
        try:
            following = moves.local[kind]
        except KeyError:
            raise ProtocolError(f"{Kind(kind).name} while {moves.name}", remote=False) from None
        if following is None:
            del self._channels[channel]
            if self._flows:
                self._flows.pop(channel, None)
        else:
            self._channels[channel] = following
            if kind not in _UNCOUNTED:
                self._flow(channel).sent(size)
        self.out.append(_pack(size, kind, channel) + payload)
        return True

    def send_turn(self, kind: Kind, payload: bytes) -> None:
        """A frame of the opening exchange: HELLO, AUTH, WELCOME."""
        self._opening.sent(kind)
        self.out.append(_pack(len(payload), kind, 0) + payload)
        self._begin_if_open()

    def skip_login(self) -> None:
        """Open at once: for the two ends of a link within one process, whose caller is known already."""
        self._opening.skip()
        self._begin_if_open()

    def send_events(self, frames: bytes) -> None:
        """Whole EVENT frames, encoded once for all subscribers."""
        self.out.append(frames)

    def goaway(self, reason: str, *, code: str = "closing", retry_after: float | None = None) -> None:
        """Say that this link is to end; open calls may finish. Once for each code: a mistake may follow a goodbye."""
        self.closing = True
        if code != self._farewell:
            self._farewell = code
            payload = encode(GoAway(reason, retry_after, code))
            self.out.append(_pack(len(payload), _GOAWAY, 0) + payload)

    def take(self) -> bytes:
        """Everything to be written now, as one piece."""
        out = self.out
        if len(out) == 1:
            return out.pop()
        data = b"".join(out)
        out.clear()
        return data

    # -- streams -------------------------------------------------------------------------------------------------

    def credit(self, channel: int) -> int:
        """Bytes that may be sent on the channel now: above zero, one more frame may go. 0 when it is over."""
        return self._flow(channel).credit if channel in self._channels else 0

    def consumed(self, channel: int, size: int, elements: int = 1) -> bool:
        """Elements of the peer's stream, `size` bytes in all, were used. True when that sent CREDIT (half a window)."""
        if channel not in self._channels:
            return False
        grant = self._flow(channel).consumed(size, elements)
        return grant > 0 and self.send(_CREDIT, channel, encode(grant))

    def grant(self, channel: int, more: int) -> None:
        """Let the peer send so many bytes more: for a relay, which grants what the far side has granted."""
        if self.send(_CREDIT, channel, encode(more)):
            self._flow(channel).allow(more)

    @property
    def state(self) -> LinkState:
        """Where the link is."""
        return self._opening.state

    @property
    def peer_window(self) -> int:
        """Bytes of credit with which each of our streams to the peer begins."""
        return self._peer_window

    @property
    def peer_frame(self) -> int:
        """Bytes of payload the peer accepts in one frame."""
        return self._peer_frame

    def is_open(self, channel: int) -> bool:
        return channel in self._channels

    @property
    def open_channels(self) -> int:
        return len(self._channels)

    # -- time ----------------------------------------------------------------------------------------------------

    def deadline(self) -> float:
        """When `tick` wants to be called next."""
        return self._heard + self.ping * (2 if self._pinged else 1)

    def alive(self, now: float) -> None:
        """The peer gave a sign of life other than bytes."""
        self._heard = now
        self._pinged = False

    def tick(self, now: float) -> None:
        """Ping a silent peer. Raises LinkClosed when it stayed silent for two ping times."""
        if now < self.deadline():
            return
        if self._pinged:
            raise LinkClosed(f"nothing heard for {now - self._heard:.0f} s: the peer is gone")
        self._pinged = True
        if self._open:
            self.out.append(_pack(0, _PING, 0))

    # -- small things --------------------------------------------------------------------------------------------

    def _flow(self, channel: int) -> Flow:
        flow = self._flows.get(channel)
        if flow is None:
            flow = self._flows[channel] = Flow(self._limits.window, self._peer_window)
        return flow

    def _begin_if_open(self) -> None:
        """Calls may be made as soon as the opening is over, by what it has said."""
        opening = self._opening
        if opening.state is LinkState.OPEN:
            self._open = True
            self._cutter.limit = self._limits.frame
            self._peer_frame, self._peer_window = opening.peer_frame, opening.peer_window

    def _is_past(self, channel: int) -> bool:
        """True when the channel was opened once and is over."""
        return is_past(channel, self._last_local if channel % 2 == self._last_local % 2 else self._last_remote)

    def __repr__(self) -> str:
        return f"<Session {self.side.value} {self.state.name.lower()} {len(self._channels)} channels>"

"""Who is at the other end of a link: call its methods, read its streams, follow its topics; and what it calls here.

The same class at both ends. `Client` (client.py) is a Peer that gets itself a new link when it loses one.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from tieline.errors import LinkClosed, LinkError
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.login.identity import Identity
from tieline.rpc.caller import Caller
from tieline.rpc.expecting import Arriving, Reply
from tieline.rpc.feeds import Feeds
from tieline.rpc.handlers import Handlers
from tieline.rpc.open_calls import OpenCalls
from tieline.rpc.subscribers import Subscribed
from tieline.rpc.subscription import Subscription
from tieline.rpc.topic import Topic
from tieline.rpc.work import Onward, Work
from tieline.wire.frames import Kind
from tieline.wire.messages import GoAway
from tieline.wire.session import Event

if TYPE_CHECKING:
    from tieline.rpc.served import Served

log = logging.getLogger("tieline.calls")
_RESULT, _CALL, _ITEM, _DATA = int(Kind.RESULT), int(Kind.CALL), int(Kind.ITEM), int(Kind.DATA)


class Peer(Caller):
    """One logged-in peer. Use it from the loop's thread only; `repr()` says who and how.

    A handler is given its caller as one (`peer: tieline.Peer`); `tieline.connect` gives a `Client`, which comes back.
    For programs are `call`, `stream`, `subscribe`, `tell`, `serve`, `close`, `on_end`, `identity`, `data` and what else
    docs/reference/library.md lists; whatever `help()` shows beyond that is for the parts of Tieline that move frames.
    """

    is_tieline_peer: ClassVar[bool] = True
    comes_back: bool = False
    "Whether a lost link is replaced by a new one."

    __slots__ = (
        "__weakref__",
        "_ended",
        "_feeds",
        "_handlers",
        "_served",
        "_subscribed",
        "_work",
        "data",
        "goodbye",
        "identity",
        "onward",
    )

    def __init__(self, limits: Limits, handlers: Handlers, identity: Identity) -> None:
        super().__init__(limits)
        self.identity = identity
        "Who it is: on the server, the caller; on a client, oneself as the server knows one."
        self.data: dict[str, Any] | None = None
        "Free for services: what they keep of this peer for as long as it is here."
        self.goodbye = ""
        "Why the other side ends the link, once it has said so."
        self.onward: Onward | None = None
        "Who knows methods that the handlers here do not have: a server's switchboard, or what is served to others."
        self._handlers = handlers
        self._served: Served | None = None
        self._work: Work | None = None
        self._feeds: Feeds | None = None
        self._subscribed: Subscribed | None = None
        self._ended: list[Callable[[Peer], None]] = []

    def subscribe(self, topic: str, *, after: int | None = None, value: Any = Any) -> Subscription:
        """Follow a topic: `async for event in peer.subscribe("room/lobby", after=position)`.

        Each event has `topic`, `position` and `value`. `after` is the last position one has seen: 0 for everything
        that is kept, None for what comes from now on. A slow reader is read on from the log later; nothing is lost.
        """
        return Subscription(self.feeds, topic, after, value)

    async def serve(self, handlers: Handlers, *, revoked: Callable[[str, str | None], None] | None = None) -> str:
        """Let others call these methods through the server, as `NAME/method`, for as long as this peer is here.
        Returns that name: the device's, or `account/device` when there are several of that name.

        A handler's `peer` is who really calls, as the server verified him. `revoked(account, device)` is called when
        the server has taken something away from an account (or one device): end what it has started. Several calls
        add up; the same handlers again tell the server what was added to them. Raises Denied for guests, ConfigError
        and InvalidArgument.
        """
        from tieline.rpc.served import Served  # needed by who serves, not by every command

        if self._served is None:
            self.onward = self._served = Served(self)
        return await self._served.add(handlers, revoked)

    async def withdraw(self) -> None:
        """Let nobody call anything here any more; what is open goes on."""
        if self._served is not None:
            await self._served.withdraw()

    async def close(self, reason: str = "closed by this side", *, code: str = "closing") -> None:
        """Say goodbye and close; open calls fail with LinkClosed."""
        if self._link is not None:
            self._link.close(reason, code=code)
        await asyncio.sleep(0)

    def refuse_calls(self, reason: str) -> None:
        """Take no new calls on this link; the peer is told, the open ones go on."""
        if self._link is not None:
            self._link.session.goaway(reason, retry_after=1.0)
            self._link.flush()

    @property
    def running(self) -> "list[asyncio.Future[Any]]":
        """The calls of this peer that are being worked on."""
        return self._work.running() if self._work is not None else []

    def cut(self, reason: str) -> None:
        """End the link now: nothing more of this peer is done, what runs for it is stopped."""
        if self._link is not None:
            self._stop_serving()
            self._link.close(reason, code="revoked")

    def attach(self, topic: Topic, after: int | None) -> int:
        """Subscribe this peer's link to a topic of ours; returns the position it starts behind.

        For handlers that answer with a snapshot: attach last, and no event is lost or doubled in between.
        """
        return self.subscribed.add(topic, after)

    @property
    def is_open(self) -> bool:
        """True while there is a link."""
        return self._link is not None

    def on_end(self, action: Callable[["Peer"], None]) -> None:
        """Call `action(peer)` when the link is gone; at once if it is gone already."""
        if self._link is None:
            action(self)
        else:
            self._ended.append(action)

    # -- for the rest of this layer, and for the server ----------------------------------------------------------

    def use(self, link: FrameLink) -> None:
        """Take over a link that has just logged in."""
        self._link = link
        self.goodbye = ""
        self._calls = OpenCalls(link.session)
        self._work = Work(self, self._handlers, link, self._calls)
        link.owner = self

    def adopt(self, channel: int, stream: Arriving, reply: Reply | None = None) -> None:
        """What comes on an open channel is for a relay, and so is the answer, if it is of a call of ours."""
        self._calls.streams[channel] = stream
        if reply is not None:
            self._calls.replies[channel] = reply

    def release(self, channel: int) -> None:
        """It is no more."""
        self._calls.streams.pop(channel, None)
        self._calls.replies.pop(channel, None)

    @property
    def feeds(self) -> Feeds:
        """The topics followed here."""
        if self._feeds is None:
            self._feeds = Feeds(self)
        return self._feeds

    @property
    def subscribed(self) -> Subscribed:
        """The topics of ours this peer is subscribed to."""
        if self._subscribed is None:
            self._subscribed = Subscribed(self)
        return self._subscribed

    @property
    def followed(self) -> int:
        """How many topics of ours this peer is subscribed to."""
        return len(self._subscribed) if self._subscribed is not None else 0

    @property
    def open_work(self) -> int:
        """Calls of this peer that are not answered yet."""
        return len(self._work) if self._work is not None else 0

    # -- the link's side -----------------------------------------------------------------------------------------

    def events(self, events: list[Event]) -> None:
        for kind, channel, content in events:
            if kind == _RESULT:
                self._calls.answered(channel, content)
            elif kind == _CALL:
                self._work.called(channel, content)  # type: ignore[arg-type, union-attr]
            elif kind == _ITEM:
                self._calls.element(channel, content, False)
            elif kind == _DATA:
                self._calls.element(channel, content, True)
            else:
                _REST[kind](self, channel, content)

    def writable(self, yes: bool) -> None:
        if yes:
            if self._outgoing is not None:
                self._outgoing.writable()
            if self._subscribed is not None:
                self._subscribed.writable()

    def ended(self, error: LinkError) -> None:
        self._lost(LinkClosed(f"{error}; whether the call was done is not known"))
        self._stop_serving()
        self._run_ended()
        if self._feeds is not None:
            self._feeds.link_lost(error, comes_back=self.comes_back)

    def __repr__(self) -> str:
        state = "open" if self._link is not None else "closed"
        return f"<{type(self).__name__} {state} {self.identity.account}/{self.identity.device}>"

    def _run_ended(self) -> None:
        actions, self._ended = self._ended, []
        for action in actions:
            try:
                action(self)
            except Exception:  # one that fails must not keep the others from ending
                log.exception("what was to be done at the end of %r failed", self)

    def _expired(self, channels: list[int]) -> None:
        work = self._work
        super()._expired([channel for channel in channels if work is None or not work.expire(channel)])

    def _stop_serving(self) -> None:
        if self._work is not None:
            self._work.cancel_all()
        if self._subscribed is not None:
            self._subscribed.leave_all()

    def _on_error(self, channel: int, content: Any) -> None:
        self._calls.failed(channel, content)

    def _on_stream_end(self, channel: int, content: Any) -> None:
        self._calls.ended(channel)

    def _on_credit(self, channel: int, content: Any) -> None:
        if self._outgoing is not None:
            self._outgoing.credited(channel)

    def _on_cancel(self, channel: int, content: Any) -> None:
        if self._work is not None:
            self._work.cancel(channel)
        self._calls.drop_stream(channel)

    def _on_event(self, channel: int, content: Any) -> None:
        if self._feeds is not None:
            self._feeds.event(content)

    def _on_goaway(self, channel: int, content: GoAway) -> None:
        """The other side wants the link to end; it does when the open calls are done."""
        self.goodbye = content.reason


_REST: dict[int, Callable[[Any, int, Any], None]] = {
    Kind.ERROR: Peer._on_error,
    Kind.END: Peer._on_stream_end,
    Kind.CREDIT: Peer._on_credit,
    Kind.CANCEL: Peer._on_cancel,
    Kind.EVENT: Peer._on_event,
    Kind.GOAWAY: Peer._on_goaway,
}

"""Half of a `Peer`: making calls. Each is made over the link there is, or over the next one, and again when asked to.

Whoever calls waits here; what becomes of a call that is open is the business of `open_calls.py`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from types import UnionType
from typing import Any, TypeVar, overload

from tieline.errors import LinkClosed, Unavailable
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.rpc.alarm import Alarm
from tieline.rpc.arrival import Arrival, decoder
from tieline.rpc.deadlines import Deadlines
from tieline.rpc.incoming import Incoming
from tieline.rpc.line import Line
from tieline.rpc.open_calls import OpenCalls
from tieline.rpc.outgoing import Outgoing
from tieline.rpc.sending import send_stream, stream_apart
from tieline.rpc.stream import Stream
from tieline.wire.messages import UNWRITABLE, encode
from tieline.wire.session import Session

T = TypeVar("T")
_decode_any = decoder(Any)


class Caller:
    """Makes calls over the link there is. The frames that answer them go from `Peer` to their `OpenCalls`."""

    __slots__ = ("_alarm", "_calls", "_line", "_link", "_loop", "_outgoing", "_turns", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self._link: FrameLink | None = None
        self._calls: OpenCalls  # those of the link, there from the first one on
        self._line = Line()  # of calls that wait for a link, which only a Client gets anew
        self._turns = count(1)
        self._outgoing: Outgoing | None = None
        self._alarm: Alarm | None = None

    # Not `returns: Any` in one: a mistake in the type of the answer would then find an overload that allows it.
    @overload
    async def call(
        self, method: str, /, *, timeout: float | None = ..., retry: bool = ..., returns: type[T], **params: Any
    ) -> T: ...

    @overload
    async def call(
        self,
        method: str,
        /,
        *,
        timeout: float | None = ...,
        retry: bool = ...,
        returns: UnionType | Arrival,
        **params: Any,
    ) -> Any: ...

    @overload
    async def call(
        self, method: str, /, *, timeout: float | None = ..., retry: bool = ..., returns: None = ..., **params: Any
    ) -> Any: ...

    async def call(
        self,
        method: str,
        /,
        *,
        timeout: float | None = None,
        retry: bool = False,
        returns: Any = Any,
        **params: Any,
    ) -> Any:
        """Call a method and wait for its value, decoded as `returns` when given.

        `timeout` in seconds is for all of it and travels with the call; cancelling the wait cancels the handler. One
        parameter may be an async iterator: it is sent as a stream, to the parameter that is one there. `retry=True`
        sends the call again after a lost link, ahead of calls made later, which is right only for methods that may run
        twice. Raises CallError (with `remote`), LinkClosed, DeadlineExceeded.
        """
        if not isinstance(method, str):
            raise _no_name(method)
        turn = next(self._turns)
        ends = None if timeout is None else self._loop.time() + timeout
        while True:
            link = self._link
            if link is None or link.session.closing or self._line.places:
                link = await self._linked(timeout, turn)
                timeout = self._left(ends)
            try:
                channel = link.session.call(encode((method, params, timeout)))
            except UNWRITABLE as error:
                channel = self._call_sending(link, method, timeout, params, error)
                retry = False  # what was read of the stream is gone
            future: asyncio.Future[Any] = self._loop.create_future()
            calls = self._calls
            replies = calls.replies
            replies[channel] = (future, _decode_any if returns is Any else decoder(returns), method)
            if len(replies) == 1:
                link.flush()  # a single call gains nothing by waiting for others to go with
            else:
                link.flush_soon()
            if timeout is not None:
                self.watch(channel, timeout)
            try:
                return await future
            except asyncio.CancelledError:
                _give_up(channel, calls, link)
                raise
            except LinkClosed:
                if not retry:
                    raise
            except Unavailable:
                # Refused because the other side had begun to close; who comes after it may take it.
                if not retry or not link.session.closing:
                    raise
            timeout = self._left(ends)

    @overload
    def stream(self, method: str, /, *, timeout: float | None = ..., returns: type[T], **params: Any) -> Stream[T]: ...

    @overload
    def stream(
        self, method: str, /, *, timeout: float | None = ..., returns: UnionType | None = ..., **params: Any
    ) -> Stream[Any]: ...

    def stream(self, method: str, /, *, timeout: float | None = None, returns: Any = Any, **params: Any) -> Stream[Any]:
        """Call a method that answers with a stream: `async for item in peer.stream(…)`.

        Items are decoded as `returns` when given. The call is made when the loop begins; leaving it cancels the
        handler. A reader that stalls holds back its own stream only.
        """
        if not isinstance(method, str):
            raise _no_name(method)
        return Stream(self, method, timeout, returns, params)

    def tell(self, method: str, /, **params: Any) -> None:
        """Call without waiting for the answer. It goes out in the order of calls; nothing happens without a link."""
        if self._link is not None and not self._link.session.closing:
            self._link.session.call(encode((method, params, None)))
            self._link.flush_soon()

    async def start_stream(
        self, method: str, timeout: float | None, returns: Any, params: dict[str, Any]
    ) -> Incoming[Any]:
        """Make the call of a `Stream`."""
        link, turn = self._link, next(self._turns)
        if link is None or link.session.closing or self._line.places:
            link = await self._linked(timeout, turn)
        try:
            channel = link.session.call(encode((method, params, timeout)))
            link.flush_soon()
        except UNWRITABLE as error:
            channel = self._call_sending(link, method, timeout, params, error)
        if timeout is not None:
            self.watch(channel, timeout)
        return self.open_stream(channel, method, returns, partial(_give_up, channel, self._calls, link))

    # -- for the rest of this layer ------------------------------------------------------------------------------

    @property
    def link(self) -> FrameLink | None:
        """The link while there is one."""
        return self._link

    @property
    def session(self) -> Session:
        """Raises LinkClosed without a link."""
        if self._link is None:
            raise LinkClosed
        return self._link.session

    @property
    def outgoing(self) -> Outgoing:
        """The streams that go out on this link."""
        if self._outgoing is None:
            if self._link is None:
                raise LinkClosed
            self._outgoing = Outgoing(self._link)
        return self._outgoing

    def flush_soon(self) -> None:
        if self._link is not None:
            self._link.flush_soon()

    def open_stream(self, channel: int, name: str, item: Any, stop: Callable[[], None] | None = None) -> Incoming[Any]:
        """The reading end of a stream on an open channel."""
        link = self._link
        if link is None:
            raise LinkClosed

        def consumed(size: int, elements: int) -> None:
            if link.session.consumed(channel, size, elements):
                link.flush_soon()

        stream: Incoming[Any] = Incoming(name, item, consumed, stop)
        self._calls.streams[channel] = stream
        return stream

    def watch(self, channel: int, timeout: float) -> None:
        """Give an open channel a deadline, in seconds from now."""
        if self._alarm is None:
            self._calls.deadlines = deadlines = Deadlines()
            self._alarm = Alarm(deadlines, self._expired)
        self._alarm.set(channel, timeout)

    def _expired(self, channels: list[int]) -> None:
        """The deadlines of these calls are over."""
        for channel in channels:
            self._calls.expire(channel)
        self.flush_soon()

    def _lost(self, error: LinkClosed) -> None:
        """The link is gone, and every open call with it."""
        self._link = None
        self._outgoing = None
        if self._alarm is not None:
            self._alarm.off()
            self._alarm = None
        self._calls.lost(error)

    # -- small things --------------------------------------------------------------------------------------------

    async def _linked(self, timeout: float | None, turn: int) -> FrameLink:
        """A link to call over; `Client` waits here for the next one, in the order of turns."""
        if self._link is None:
            raise LinkClosed
        return self._link

    def _left(self, ends: float | None) -> float | None:
        return None if ends is None else max(0.0, ends - self._loop.time())

    def _call_sending(
        self, link: FrameLink, method: str, timeout: float | None, params: dict[str, Any], error: Exception
    ) -> int:
        """The rarer call, one of whose parameters is an async iterator; `error` says that something is."""
        payload, source = stream_apart(method, timeout, params, error)
        channel = link.session.call(payload, streaming=True)
        link.flush_soon()
        task = self._loop.create_task(send_stream(source, channel, link, self.outgoing, self._calls))
        self._calls.sources[channel] = task.cancel
        return channel


def _no_name(method: object) -> TypeError:
    """Told here, since at the other end it would be a broken frame, and the end of the link for every call on it."""
    return TypeError(f"a method is called by its name, a str, not by {method!r}")


def _give_up(channel: int, calls: OpenCalls, link: FrameLink) -> None:
    """Whoever made the call does not wait any more."""
    if calls.give_up(channel):
        link.flush_soon()

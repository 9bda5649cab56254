"""What one peer asks of another: open calls, their deadlines, and the streams that go with them. Half of a `Peer`."""

import asyncio
from collections.abc import Callable
from itertools import count
from types import UnionType
from typing import Any, TypeVar, overload

import msgspec

from tieline.errors import DeadlineExceeded, InvalidArgument, LinkClosed, Unavailable, call_error
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.rpc.arrival import Arrival, decoder
from tieline.rpc.deadlines import Deadlines
from tieline.rpc.expecting import Arriving, Awaiting
from tieline.rpc.incoming import Incoming
from tieline.rpc.line import Line
from tieline.rpc.outgoing import Outgoing
from tieline.rpc.sending import Sending
from tieline.rpc.stream import Stream
from tieline.wire.frames import Kind
from tieline.wire.messages import UNREADABLE, UNWRITABLE, Fault, read
from tieline.wire.session import Session

__all__ = ["Caller", "Stream"]

T = TypeVar("T")
Reply = tuple[Awaiting, Callable[[bytes], Any], str]
_encode = msgspec.msgpack.Encoder().encode
_decode_any = decoder(Any)
_NEVER = 1e9
"Seconds. A timeout beyond this is none."


class Caller:
    """Open calls by channel. The frames that answer them are handed in by `Peer`."""

    __slots__ = (
        "_deadlines",
        "_incoming",
        "_line",
        "_link",
        "_loop",
        "_outgoing",
        "_replies",
        "_sending",
        "_timer",
        "_turns",
        "limits",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self._link: FrameLink | None = None
        self._line = Line()  # of calls that wait for a link, which only a Client gets anew
        self._turns = count(1)
        self._replies: dict[int, Reply] = {}
        self._incoming: dict[int, Arriving] = {}
        self._sending: Sending | None = None
        self._outgoing: Outgoing | None = None
        self._deadlines: Deadlines | None = None
        self._timer: asyncio.TimerHandle | None = None

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
        parameter may be an async iterator: it is sent as a stream. `retry=True` sends the call again after a lost
        link, ahead of calls made later, which is right only for methods that may run twice. Raises CallError (with
        `remote`), LinkClosed, DeadlineExceeded.
        """
        turn = next(self._turns)
        ends = None if timeout is None else self._loop.time() + timeout
        while True:
            link = self._link
            if link is None or link.session.closing or self._line.places:
                link = await self._linked(timeout, turn)
                timeout = self._left(ends)
            try:
                payload = _encode((method, params, timeout))
            except UNWRITABLE as error:
                return await self._call_with_stream(link, method, timeout, returns, params, error)
            channel = link.session.call(payload)
            future: asyncio.Future[Any] = self._loop.create_future()
            self._replies[channel] = (future, _decode_any if returns is Any else decoder(returns), method)
            if len(self._replies) == 1:
                link.flush()  # a single call gains nothing by waiting for others to go with
            else:
                link.flush_soon()
            if timeout is not None:
                self.watch(channel, timeout)
            try:
                return await future
            except asyncio.CancelledError:
                self._give_up(channel)
                raise
            except LinkClosed:
                if not retry:
                    raise
            except Unavailable:
                # Refused because the other side had begun to close; who comes after it may take it.
                if not retry or not link.session.closing:
                    raise
            timeout = self._left(ends)

    def stream(self, method: str, /, *, timeout: float | None = None, returns: Any = Any, **params: Any) -> Stream:
        """Call a method that answers with a stream: `async for item in peer.stream(…)`.

        Items are decoded as `returns` when given. The call is made when the loop begins; leaving it cancels the
        handler. A reader that stalls holds back its own stream only.
        """
        return Stream(self, method, timeout, returns, params)

    def tell(self, method: str, /, **params: Any) -> None:
        """Call without waiting for the answer. It goes out in the order of calls; nothing happens without a link."""
        if self._link is not None and not self._link.session.closing:
            self._link.session.call(_encode((method, params, None)))
            self._link.flush_soon()

    async def start_stream(
        self, method: str, timeout: float | None, returns: Any, params: dict[str, Any]
    ) -> Incoming[Any]:
        """Make the call of a `Stream`."""
        link, turn = self._link, next(self._turns)
        if link is None or link.session.closing or self._line.places:
            link = await self._linked(timeout, turn)
        try:
            channel = link.session.call(_encode((method, params, timeout)))
            link.flush_soon()
        except UNWRITABLE as error:
            channel = self._call_sending(link, method, timeout, params, error)
        if timeout is not None:
            self.watch(channel, timeout)
        return self.open_stream(channel, method, returns, lambda: self._give_up(channel))

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
        self._incoming[channel] = stream
        return stream

    def drop_stream(self, channel: int) -> None:
        stream = self._incoming.pop(channel, None)
        if stream is not None:
            stream.finish(LinkClosed("the call is over"))

    def watch(self, channel: int, timeout: float) -> None:
        """Give an open channel a deadline, in seconds from now."""
        if not timeout < _NEVER:  # which is so of nan as well
            return
        if self._deadlines is None:
            self._deadlines = Deadlines()
        self._deadlines.add(channel, self._loop.time() + max(timeout, 0.0))
        self._arm()

    def unwatch(self, channel: int) -> None:
        if self._deadlines is not None:
            self._deadlines.remove(channel)

    def let_go(self, channel: int) -> None:
        """Work done here for a channel is over: neither its deadline nor its stream matters any more."""
        if self._deadlines is not None:
            self._deadlines.remove(channel)
        if self._incoming:
            self.drop_stream(channel)

    # -- what comes back -----------------------------------------------------------------------------------------

    def _answered(self, channel: int, content: Any) -> None:
        """RESULT."""
        reply = self._replies.pop(channel, None)
        if reply is None:
            self._fail(channel, InvalidArgument("this method answers with one value: use call(), not stream()"))
            return
        if self._deadlines is not None:
            self._deadlines.remove(channel)
        if self._sending is not None:
            self._sending.stop(channel)
        future, decode, method = reply
        if not future.done():
            try:
                future.set_result(decode(content))
            except UNREADABLE as error:
                future.set_exception(InvalidArgument(f"the result of {method} is not what was expected: {error}"))

    def _failed(self, channel: int, content: Any) -> None:
        """ERROR."""
        fault = read(Fault, content)
        self._fail(channel, call_error(fault.code, fault.message, fault.data))

    def _item(self, channel: int, content: Any) -> None:
        stream = self._incoming.get(channel)
        if stream is not None:
            stream.push(content, False)
        else:
            self._not_a_stream(channel)

    def _data(self, channel: int, content: Any) -> None:
        stream = self._incoming.get(channel)
        if stream is not None:
            stream.push(content, True)
        else:
            self._not_a_stream(channel)

    def _not_a_stream(self, channel: int) -> None:
        if channel in self._replies:
            self._fail(channel, InvalidArgument("this method answers with a stream: use stream(), not call()"))
            self.session.send(Kind.CANCEL, channel, _encode("use stream()"))

    def _finished(self, channel: int, content: Any) -> None:
        """END."""
        stream = self._incoming.pop(channel, None)
        if stream is not None:
            stream.finish()
        elif channel in self._replies:
            self._fail(channel, InvalidArgument("this method answers with a stream: use stream(), not call()"))
        if not self.session.is_open(channel):
            self.unwatch(channel)
            self._stop_sending(channel)

    def _credited(self, channel: int, content: Any) -> None:
        if self._outgoing is not None:
            self._outgoing.credited(channel)

    def _lost(self, error: LinkClosed) -> None:
        """The link is gone, and every open call with it."""
        self._link = None
        self._outgoing = None
        self._deadlines = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for future, _, _ in self._replies.values():
            if not future.done():
                future.set_exception(LinkClosed(error.reason))
        self._replies.clear()
        streams, self._incoming = self._incoming, {}
        for stream in streams.values():
            stream.finish(error)
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.close()

    def _work_expired(self, channel: int) -> bool:
        """True when the deadline was that of work done here; `Peer` knows."""
        return False

    # -- small things --------------------------------------------------------------------------------------------

    async def _linked(self, timeout: float | None, turn: int) -> FrameLink:
        """A link to call over; `Client` waits here for the next one, in the order of turns."""
        if self._link is None:
            raise LinkClosed
        return self._link

    def _left(self, ends: float | None) -> float | None:
        return None if ends is None else max(0.0, ends - self._loop.time())

    async def _call_with_stream(
        self,
        link: FrameLink,
        method: str,
        timeout: float | None,
        returns: Any,
        params: dict[str, Any],
        error: Exception,
    ) -> Any:
        """The rarer call, one of whose parameters is an async iterator."""
        channel = self._call_sending(link, method, timeout, params, error)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._replies[channel] = (future, decoder(returns), method)
        if timeout is not None:
            self.watch(channel, timeout)
        try:
            return await future
        finally:
            self._give_up(channel)

    def _call_sending(
        self, link: FrameLink, method: str, timeout: float | None, params: dict[str, Any], error: Exception
    ) -> int:
        if self._sending is None:
            self._sending = Sending(link, self.outgoing, self._fail)
        return self._sending.call(method, timeout, params, error)

    def _give_up(self, channel: int) -> None:
        """The caller does not wait any more."""
        self._stop_sending(channel)
        if self._replies.pop(channel, None) is None and channel not in self._incoming:
            return
        self.unwatch(channel)
        self._incoming.pop(channel, None)
        if self._link is not None and self._link.session.send(Kind.CANCEL, channel, _encode("not wanted any more")):
            self._link.flush_soon()

    def _stop_sending(self, channel: int) -> None:
        if self._sending is not None:
            self._sending.stop(channel)

    def _fail(self, channel: int, error: Exception) -> None:
        self._stop_sending(channel)
        reply = self._replies.pop(channel, None)
        if reply is not None and not reply[0].done():
            reply[0].set_exception(error)
        stream = self._incoming.pop(channel, None)
        if stream is not None:
            stream.finish(error)
        self.unwatch(channel)

    def _arm(self) -> None:
        when = self._deadlines.next() if self._deadlines is not None else None
        if when is None or (self._timer is not None and self._timer.when() <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for channel in self._deadlines.due(self._loop.time()) if self._deadlines is not None else ():
            if not self._work_expired(channel):
                method = self._replies[channel][2] if channel in self._replies else "the stream"
                late = DeadlineExceeded(f"{method} gave no answer in time; whether it was done is not known")
                if self._link is not None:
                    self._link.session.send(Kind.CANCEL, channel, _encode("deadline"))
                self._fail(channel, late)
        self.flush_soon()
        self._arm()

"""The calls a peer makes here: find the handler, check the caller may, decode, run, answer. The only scope check.

A handler that does not wait is answered within the same read; only one that waits becomes a task.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future as ThreadFuture
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tieline.errors import (
    Cancelled,
    DeadlineExceeded,
    Denied,
    InternalError,
    InvalidArgument,
    Overloaded,
    Unavailable,
)
from tieline.limits import KiB
from tieline.link.frame_link import FrameLink
from tieline.login.identity import Identity
from tieline.promise import Promise
from tieline.rpc.faults import encode_fault, fault_of
from tieline.rpc.handlers import Bound, Handler, Handlers, Way
from tieline.rpc.incoming import Incoming
from tieline.rpc.open_calls import OpenCalls
from tieline.rpc.outgoing import close_source
from tieline.wire.frames import Kind
from tieline.wire.messages import Call, encode

if TYPE_CHECKING:
    from tieline.rpc.peer import Peer

log = logging.getLogger("tieline.calls")
_RESULT, _ERROR, _END = int(Kind.RESULT), int(Kind.ERROR), int(Kind.END)
_LARGE = 4 * KiB
"Bytes. Smaller answers are not worth looking at: no more of them than `Limits.calls` can wait."
_FUTURE, _STREAM, _THREAD = Way.FUTURE, Way.STREAM, Way.THREAD
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Passing(Protocol):
    """A call that somebody else answers."""

    def cancel(self) -> object: ...

    def over(self) -> "asyncio.Future[None]":
        """Done when it is answered."""


class Onward(Protocol):
    """Who is asked about a call of a method that no handler here has."""

    def called(self, work: "Work", peer: "Peer", channel: int, call: Call) -> None:
        """Have it answered by `work.perform` or `work.pass_on`. Raises what the caller is to be told."""


class Work:
    """What one peer has asked for over one link and not yet been told. A peer that gets a new link begins anew: what
    still winds down of the old one must not answer on channels of the new one."""

    __slots__ = ("_calls", "_handlers", "_link", "_peer", "_permitted", "_running", "_session")

    def __init__(self, peer: "Peer", handlers: Handlers, link: FrameLink, calls: OpenCalls) -> None:
        self._peer = peer
        self._calls = calls
        self._handlers = handlers
        self._link = link
        self._session = link.session
        self._running: dict[int, asyncio.Future[Any] | Passing] = {}
        # Methods this peer was found to be allowed: a login's scopes never change, whoever loses one loses the link.
        self._permitted: dict[str, Handler] = {}

    def called(self, channel: int, call: Call) -> None:
        """A CALL came in. Whatever happens, the caller gets an answer; the log gets the traceback."""
        try:
            handler = self._permitted.get(call.method) or self._find(channel, call)
            if handler is None:
                return
            arguments = handler.arguments(call.params)
            if handler.at_once and not call.streaming:
                self._session.send(_RESULT, channel, encode(handler.invoke(arguments, self._peer, None)))
            else:
                self._start(channel, handler, arguments, call)
        except (Exception, asyncio.CancelledError) as error:
            self.fail(channel, call.method, error)

    def _find(self, channel: int, call: Call) -> Handler | None:
        """The method, if there is one and this peer may call it; None when the call went elsewhere."""
        handler = self._handlers.get(call.method)
        if handler is None:
            if self._peer.onward is None:
                return self._handlers.find(call.method)  # which says that there is none
            self._peer.onward.called(self, self._peer, channel, call)
            return None
        self._permit(self._peer.identity, call.method, handler.scope)
        self._permitted[call.method] = handler
        return handler

    def perform(self, channel: int, handler: Handler, call: Call, who: "Peer") -> None:
        """Run a handler that was found elsewhere, for whoever really calls. Raises what that one is to be told."""
        self._permit(who.identity, call.method, handler.scope)
        arguments = handler.arguments(call.params)
        if handler.at_once and not call.streaming:
            self._session.send(_RESULT, channel, encode(handler.invoke(arguments, who, None)))
        else:
            self._start(channel, Bound(handler, who), arguments, call)

    def pass_on(self, channel: int, call: Call, scope: str | None, begin: "Callable[[], Passing]") -> None:
        """Let somebody else answer, until he calls `passed()`. Raises what the caller is to be told."""
        self._permit(self._peer.identity, call.method, scope)
        self._admit()
        self._running[channel] = begin()
        if call.timeout is not None:
            self._peer.watch(channel, call.timeout)

    def passed(self, channel: int) -> None:
        """A call that was passed on is over."""
        self._over(channel)

    def cancel(self, channel: int) -> None:
        """The caller wants no more of it."""
        running = self._running.get(channel)
        if running is not None:
            running.cancel()

    def expire(self, channel: int) -> bool:
        """Its deadline is over. False when no such work is open."""
        running = self._running.get(channel)
        if running is None:
            return False
        self.fail(channel, "", DeadlineExceeded("the call's deadline passed before it was done"))
        running.cancel()
        return True

    def running(self) -> list["asyncio.Future[Any]"]:
        return [each if isinstance(each, asyncio.Future) else each.over() for each in self._running.values()]

    def cancel_all(self) -> None:
        """The peer is gone."""
        for each in list(self._running.values()):
            each.cancel()

    def __len__(self) -> int:
        return len(self._running)

    def fail(self, channel: int, method: str, error: BaseException) -> None:
        """Answer with an error; one that was not announced goes to the log whole and to the caller without details."""
        fault = fault_of(error)
        if fault.code == InternalError.code and not isinstance(error, InternalError):
            log.error("%s called by %s failed", method, self._peer.identity, exc_info=error)
        # A caller who is gone needs no answer: what is sent over a link that ended goes nowhere.
        if self._session.send(_ERROR, channel, encode_fault(fault, self._session.peer_frame)):
            self._link.flush_soon()

    # -- handlers that wait --------------------------------------------------------------------------------------

    def _permit(self, identity: Identity, method: str, scope: str | None) -> None:
        if not identity.may(scope):
            raise Denied(identity.refusal(method, scope))

    def _admit(self) -> None:
        if self._session.closing:
            raise Unavailable("this side is closing and takes no new calls; try again in a moment")
        if len(self._running) >= self._peer.limits.calls:
            raise Overloaded(f"{len(self._running)} calls are open on this link; finish some first")

    def _start(self, channel: int, handler: Handler, arguments: msgspec.Struct, call: Call) -> None:
        peer = self._peer
        self._admit()
        stream = None
        if handler.stream_name is not None or call.streaming:
            stream = self._open_stream(channel, handler, call)
        if handler.way is _FUTURE:
            self._await(channel, handler, arguments, stream)
        else:
            self._spawn(channel, self._run(channel, handler, arguments, stream))
        if call.timeout is not None and channel in self._running:
            peer.watch(channel, call.timeout)

    def _await(self, channel: int, handler: Handler, arguments: msgspec.Struct, stream: Any) -> None:
        try:
            value = handler.invoke(arguments, self._peer, stream)
            if isinstance(value, Promise):
                self._running[channel] = value
                value.listen(self, channel, handler.name)
                return
            future: asyncio.Future[Any] = value if isinstance(value, asyncio.Future) else _future_of(value)
        except BaseException:  # whatever it was: the call must not stay counted
            self._over(channel)
            raise
        self._running[channel] = future
        future.add_done_callback(partial(self._answered, channel, handler.name))

    def _spawn(self, channel: int, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.Task(coroutine, loop=asyncio.get_running_loop(), **_EAGER)
        if task.done():
            self._over(channel)
        else:
            self._running[channel] = task
            task.add_done_callback(lambda _: self._over(channel))

    async def _run(self, channel: int, handler: Handler, arguments: msgspec.Struct, stream: Any) -> None:
        peer = self._peer
        try:
            if handler.way is _STREAM:
                items = handler.invoke(arguments, peer, stream)
                try:
                    await peer.outgoing.pump(channel, items)
                finally:
                    await close_source(items)
                self._session.send(_END, channel)
            elif handler.way is _THREAD:
                self.answer(channel, encode(await asyncio.to_thread(handler.invoke, arguments, peer, stream)))
            else:
                value = handler.invoke(arguments, peer, stream)
                if asyncio.iscoroutine(value):
                    value = await value
                self.answer(channel, encode(value))
            self._link.flush_soon()
        except asyncio.CancelledError as error:
            self.fail(channel, handler.name, error)
            raise
        except Exception as error:  # the handler is the user's, and its caller is told
            self.fail(channel, handler.name, error)

    def told(self, channel: int, method: str, outcome: Any) -> None:
        """What a handler promised is there."""
        self._over(channel)
        try:
            if isinstance(outcome, BaseException):
                self.fail(channel, method, outcome)
            else:
                self.answer(channel, encode(outcome))
        except Exception as error:  # a value that cannot be encoded is told to the caller
            self.fail(channel, method, error)

    def told_all(self) -> None:
        """The answers go out now, not behind what else is read in this turn of the loop."""
        self._link.flush_answers()

    def _answered(self, channel: int, method: str, done: "asyncio.Future[Any]") -> None:
        self.told(channel, method, Cancelled() if done.cancelled() else done.exception() or done.result())
        self._link.flush_soon()

    def answer(self, channel: int, payload: bytes) -> None:
        """RESULT of a call that waited. It was let in while the peer still read, so its answer is bounded here. Raises
        TooLarge and Overloaded."""
        size = len(payload)
        if size > _LARGE:
            self._link.flush()  # only then it is known what the peer has not read
            if (owed := self._link.owed) + size > self._peer.limits.answers:
                raise Overloaded(
                    f"done, but the answer was thrown away: {owed:,} bytes wait to be read; read them first"
                )
        self._session.send(_RESULT, channel, payload)

    def _over(self, channel: int) -> None:
        self._running.pop(channel, None)
        self._calls.let_go(channel)

    def _open_stream(self, channel: int, handler: Handler, call: Call) -> Incoming[Any]:
        if handler.stream_name is None:
            raise InvalidArgument(f"{handler.name}: none of its parameters is a stream")
        stream = self._peer.open_stream(channel, handler.name, handler.stream_item)
        if not call.streaming:
            stream.finish()
        return stream


def _future_of(value: Any) -> "asyncio.Future[Any]":
    """Of what a handler that is not awaited may return: a thread's future, or any awaitable."""
    return asyncio.wrap_future(value) if isinstance(value, ThreadFuture) else asyncio.ensure_future(value)

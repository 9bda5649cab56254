"""What is open on one link: who waits for what on which channel, and until when. A new link begins with a new one.

Goes in: the frames that answer, the deadlines that are over, the end of the link. Whoever waits is told, once, and the
peer is told what is not wanted any more. Pure: it has no clock, and leaves its frames with the session for the owner to
flush.
"""

from collections.abc import Callable
from typing import Any

from tieline.errors import DeadlineExceeded, InvalidArgument, LinkClosed, call_error
from tieline.rpc.deadlines import Deadlines
from tieline.rpc.expecting import Arriving, Reply
from tieline.wire.frames import Kind
from tieline.wire.messages import UNREADABLE, Fault, encode, read
from tieline.wire.session import Session

_CANCEL = int(Kind.CANCEL)
_A_VALUE = "this method answers with one value: use call(), not stream()"
_A_STREAM = "this method answers with a stream: use stream(), not call()"


class OpenCalls:
    """By channel. Streams and deadlines are of calls of both sides, the rest is of those made here."""

    __slots__ = ("_session", "deadlines", "replies", "sources", "streams")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.replies: dict[int, Reply] = {}
        "Who waits for an answer."
        self.streams: dict[int, Arriving] = {}
        "Who takes the elements that come."
        self.sources: dict[int, Callable[[], object]] = {}
        "What stops the stream that is sent with a call."
        self.deadlines: Deadlines | None = None
        "None until there is one: many links never have any."

    # -- what comes back -----------------------------------------------------------------------------------------

    def answered(self, channel: int, content: Any) -> None:
        """RESULT."""
        reply = self.replies.pop(channel, None)
        if reply is None:
            self.fail(channel, InvalidArgument(_A_VALUE))
            return
        if self.deadlines is not None:
            self.deadlines.remove(channel)
        if self.sources:
            self._stop_source(channel)
        future, decode, method = reply
        if not future.done():
            try:
                future.set_result(decode(content))
            except UNREADABLE as error:
                future.set_exception(InvalidArgument(f"the result of {method} is not what was expected: {error}"))

    def failed(self, channel: int, content: Any) -> None:
        """ERROR."""
        fault = read(Fault, content)
        self.fail(channel, call_error(fault.code, fault.message, fault.data))

    def element(self, channel: int, content: Any, raw: bool) -> None:
        """ITEM; `raw` for DATA."""
        stream = self.streams.get(channel)
        if stream is not None:
            stream.push(content, raw)
        elif channel in self.replies:
            self.fail(channel, InvalidArgument(_A_STREAM))
            self._session.send(_CANCEL, channel, encode("use stream()"))

    def ended(self, channel: int) -> None:
        """END: of a call made here that is all, of another only its stream is over."""
        stream = self.streams.pop(channel, None)
        if stream is not None:
            stream.finish()
        elif channel in self.replies:
            self.fail(channel, InvalidArgument(_A_STREAM))
        if not self._session.is_open(channel):
            self._forget(channel)

    # -- what does not come any more -----------------------------------------------------------------------------

    def expire(self, channel: int) -> None:
        """The deadline of a call made here is over."""
        method = self.replies[channel][2] if channel in self.replies else "the stream"
        self._session.send(_CANCEL, channel, encode("deadline"))
        self.fail(channel, DeadlineExceeded(f"{method} gave no answer in time; whether it was done is not known"))

    def give_up(self, channel: int) -> bool:
        """Nobody here waits for this call any more. True when the peer was told so: then flush."""
        waited = channel in self.replies or channel in self.streams
        self.replies.pop(channel, None)
        self.streams.pop(channel, None)
        self._forget(channel)
        return waited and self._session.send(_CANCEL, channel, encode("not wanted any more"))

    def fail(self, channel: int, error: Exception) -> None:
        """The call made here is over: whoever waits is told why."""
        self._forget(channel)
        reply = self.replies.pop(channel, None)
        if reply is not None and not reply[0].done():
            reply[0].set_exception(error)
        stream = self.streams.pop(channel, None)
        if stream is not None:
            stream.finish(error)

    def let_go(self, channel: int) -> None:
        """Work done here for a channel is over: neither its deadline nor its stream matters any more."""
        if self.deadlines is not None:
            self.deadlines.remove(channel)
        if self.streams:
            self.drop_stream(channel)

    def drop_stream(self, channel: int) -> None:
        stream = self.streams.pop(channel, None)
        if stream is not None:
            stream.finish(LinkClosed("the call is over"))

    def lost(self, error: LinkClosed) -> None:
        """The link is gone, and every open call with it."""
        self.deadlines = None
        for future, _, _ in self.replies.values():
            if not future.done():
                future.set_exception(LinkClosed(error.reason))
        self.replies.clear()
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            stream.finish(error)
        for channel in list(self.sources):
            self._stop_source(channel)

    # -- small things --------------------------------------------------------------------------------------------

    def _forget(self, channel: int) -> None:
        """What goes with every call that is over."""
        if self.deadlines is not None:
            self.deadlines.remove(channel)
        self._stop_source(channel)

    def _stop_source(self, channel: int) -> None:
        stop = self.sources.pop(channel, None)
        if stop is not None:
            stop()

    def __repr__(self) -> str:
        return (
            f"<OpenCalls {len(self.replies)} to be answered, {len(self.streams)} streams in, {len(self.sources)} out>"
        )

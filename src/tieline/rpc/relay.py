"""One call passed on between two links: to those at its ends its two channels are one.

Answers and the elements of both streams cross as the bytes they came as. An ERROR is read, since it must fit the other
side; CREDIT is counted (half.py). Whichever end goes, the other is told at once.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tieline.errors import CallError, LinkClosed, TooLarge, Unavailable
from tieline.rpc.half import End, Half
from tieline.wire.frames import Kind
from tieline.wire.messages import encode

if TYPE_CHECKING:
    from tieline.rpc.work import Work

_RESULT, _END, _CANCEL = int(Kind.RESULT), int(Kind.END), int(Kind.CANCEL)
_NOT_WANTED = encode("the caller wants no more of it, or is gone")


def as_it_is(payload: bytes) -> bytes:
    """What decodes the answer."""
    return payload


class Relay:
    """`near` is the caller's channel, `far` the machine's. `over` is done when the call is; cancelling it cancels the
    call at the machine. `ended` is called when both channels are let go.

    What `Caller` does with the future of a call, and until a first element comes with its stream, it does with this.
    """

    __slots__ = ("_down", "_ended", "_far", "_method", "_near", "_up", "_window", "_work", "over")

    def __init__(
        self,
        work: "Work",
        near: End,
        far: End,
        method: str,
        *,
        window: int,
        streaming: bool,
        ended: Callable[[], None],
    ) -> None:
        self._work = work
        self._near = near
        self._far = far
        self._method = method
        self._window = window
        self._ended = ended
        self._down: Half | None = None  # made when the machine sends a first element: most calls have none
        self._up = Half(self, near, far, window) if streaming else None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over.add_done_callback(self._is_over)
        far.peer.adopt(far.channel, self, (self, as_it_is, method))
        if self._up is not None:
            near.peer.adopt(near.channel, self._up)

    def fail(self, error: BaseException) -> None:
        """Tell the caller; the machine is told to stop."""
        if not self.over.done():
            if isinstance(error, TooLarge):
                error = TooLarge(f"{self._method}: an element or the answer is too large for the other side: {error}")
            self._work.fail(self._near.channel, self._method, error)
            self._let_go()
            self.over.set_result(None)

    # -- as the future of the call at the machine ------------------------------------------------------------------

    def done(self) -> bool:
        return self.over.done()

    def set_result(self, payload: Any) -> None:
        """RESULT."""
        try:
            self._near.link.session.send(_RESULT, self._near.channel, payload)
        except TooLarge as error:
            self.fail(error)
            return
        if len(self._work) == 1:
            self._near.link.flush()  # as with a single call: there is nothing for it to wait for
        else:
            self._near.link.flush_soon()
        self.over.set_result(None)

    def set_exception(self, error: BaseException) -> None:
        """Nothing: the stream of the same channel is told as well, and what waits there goes first."""

    # -- as the machine's stream ---------------------------------------------------------------------------------

    def push(self, payload: bytes, raw: bool) -> None:
        """The first element."""
        self._down = Half(self, self._far, self._near, self._window)
        self._far.peer.adopt(self._far.channel, self._down)
        self._down.push(payload, raw)

    def finish(self, error: BaseException | None = None) -> None:
        """There was none."""
        self.source_ended(None, error)
        if error is None or (isinstance(error, CallError) and error.remote):
            self.sink_done(None, error)

    # -- from the halves -----------------------------------------------------------------------------------------

    def source_ended(self, half: Half | None, error: BaseException | None) -> None:
        """Nothing more comes into this half."""
        if half is not self._down:
            return  # a caller who is gone cancels the call
        self._far.peer.release(self._far.channel)
        if isinstance(error, LinkClosed):
            sentence = f"{self._method}: the machine was lost during the call; whether it was done is not known"
            self.fail(Unavailable(sentence))

    def sink_done(self, half: Half | None, error: BaseException | None) -> None:
        """All that came into this half has gone out of it."""
        if half is not self._down:
            self._far.link.session.send(_END, self._far.channel)
            self._far.link.flush_soon()
        elif error is not None:
            self.fail(error)
        elif not self.over.done():
            self._near.link.session.send(_END, self._near.channel)
            self._near.link.flush_soon()
            self.over.set_result(None)

    # -- small things --------------------------------------------------------------------------------------------

    def _is_over(self, over: "asyncio.Future[None]") -> None:
        self._let_go()
        self._ended()

    def _let_go(self) -> None:
        for half in (self._down, self._up):
            if half is not None:
                half.drop()
        self._far.peer.release(self._far.channel)
        if self._far.link.session.send(_CANCEL, self._far.channel, _NOT_WANTED):
            self._far.link.flush_soon()

    def __repr__(self) -> str:
        state = "over" if self.over.done() else "open"
        return f"<Relay {state} {self._method} {self._near.channel} -> {self._far.channel}>"

"""One call passed on between two links: to those at its ends its two channels are one.

Answers and the elements of both streams cross as the bytes they came as. An ERROR is read, since it must fit the other
side; CREDIT is counted (half.py). Whichever end goes, the other is told at once.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tieline.errors import CallError, LinkClosed, Overloaded, TooLarge, Unavailable
from tieline.rpc.half import End, Half
from tieline.wire.frames import Kind
from tieline.wire.messages import encode

if TYPE_CHECKING:
    from tieline.rpc.work import Work

_END, _CANCEL = int(Kind.END), int(Kind.CANCEL)
_NOT_WANTED = encode("the caller wants no more of it, or is gone")


def as_it_is(payload: bytes) -> bytes:
    """What decodes the answer."""
    return payload


class Relay:
    """`near` is the caller's channel, `far` the machine's. `ended` is called once, when both are let go.

    What `Work` does with a task, and `OpenCalls` with the future of a call and with its stream until a first element
    comes, they do with this.
    """

    __slots__ = (
        "_done",
        "_down",
        "_ended",
        "_far",
        "_far_channel",
        "_far_link",
        "_method",
        "_near",
        "_near_channel",
        "_near_link",
        "_over",
        "_up",
        "_window",
        "_work",
    )

    def __init__(
        self, work: "Work", near: End, far: End, method: str, window: int, streaming: bool, ended: Callable[[], None]
    ) -> None:
        self._work = work
        self._near, self._near_link, self._near_channel = near
        self._far, self._far_link, self._far_channel = far
        self._method = method
        self._window = window
        self._ended = ended
        self._done = False
        self._over: asyncio.Future[None] | None = None
        self._down: Half | None = None  # made when the machine sends a first element: most calls have none
        self._up: Half | None = None
        self._far.adopt(self._far_channel, self, (self, as_it_is, method))
        if streaming:
            self._up = Half(self, near, far, window)
            self._near.adopt(self._near_channel, self._up)

    def fail(self, error: BaseException) -> None:
        """Tell the caller; the machine is told to stop."""
        if not self._done:
            if isinstance(error, TooLarge):
                error = TooLarge(f"{self._method}: an element or the answer is too large for the other side: {error}")
            self._work.fail(self._near_channel, self._method, error)
            self._finish()

    # -- as a task of the caller's ---------------------------------------------------------------------------------

    def cancel(self) -> None:
        """The caller wants no more of it, or is gone."""
        self._finish()

    def over(self) -> "asyncio.Future[None]":
        """Done when the call is."""
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
            if self._done:
                self._over.set_result(None)
        return self._over

    # -- as the future of the call at the machine ------------------------------------------------------------------

    def done(self) -> bool:
        return self._done

    def set_result(self, payload: Any) -> None:
        """RESULT."""
        try:
            self._work.answer(self._near_channel, payload)
        except (TooLarge, Overloaded) as error:
            self.fail(error)
            return
        if len(self._work) == 1:
            self._near_link.flush()  # as with a single call: there is nothing for it to wait for
        else:
            self._near_link.flush_soon()
        self._finish()

    def set_exception(self, error: BaseException) -> None:
        """Nothing: the stream of the same channel is told as well, and what waits there goes first."""

    # -- as the machine's stream ---------------------------------------------------------------------------------

    def push(self, payload: bytes, raw: bool) -> None:
        """The first element."""
        far = End(self._far, self._far_link, self._far_channel)
        near = End(self._near, self._near_link, self._near_channel)
        self._down = Half(self, far, near, self._window)
        self._far.adopt(self._far_channel, self._down)
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
        self._far.release(self._far_channel)
        if isinstance(error, LinkClosed):
            sentence = f"{self._method}: the machine was lost during the call; whether it was done is not known"
            self.fail(Unavailable(sentence))

    def sink_done(self, half: Half | None, error: BaseException | None) -> None:
        """All that came into this half has gone out of it."""
        if half is not self._down:
            self._far_link.session.send(_END, self._far_channel)
            self._far_link.flush_soon()
        elif error is not None:
            self.fail(error)
        elif not self._done:
            self._near_link.session.send(_END, self._near_channel)
            self._near_link.flush_soon()
            self._finish()

    # -- small things --------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Let go of both channels; a machine that still works on it is told to stop."""
        if self._done:
            return
        self._done = True
        if self._down is not None:
            self._down.drop()
        if self._up is not None:
            self._up.drop()
        self._far.release(self._far_channel)
        if self._far_link.session.send(_CANCEL, self._far_channel, _NOT_WANTED):
            self._far_link.flush_soon()
        self._ended()
        if self._over is not None:
            self._over.set_result(None)

    def __repr__(self) -> str:
        state = "over" if self._done else "open"
        return f"<Relay {state} {self._method} {self._near_channel} -> {self._far_channel}>"

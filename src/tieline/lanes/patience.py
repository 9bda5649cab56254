"""How a lane's thread waits: never for ever, never with a turn that others could use, and not once it is stopped.

Waits are cut into slices, at whose ends the deadline is looked at. `stop()` is for any thread, all else for the lane's.
"""

import errno
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tieline.errors import LinkClosed, TielineError
from tieline.lanes.turns import TURNS, Turns

SLICE = 0.5
"Seconds a wait lasts at most before it looks at its deadline."
_CUT = (errno.EPIPE, errno.ECONNRESET, errno.EBADF)


class Patience:
    """Of one lane, over its socket, which stays the lane's. `stopped` is what its thread is to raise, once it is to."""

    def __init__(self, sock: socket.socket) -> None:
        self.stopped: TielineError | None = None
        self._sock = sock
        self._turns: Turns | None = None
        self._input = _poll(sock, select.POLLIN)
        self._room = _poll(sock, select.POLLOUT)
        self._either = _poll(sock, select.POLLIN | select.POLLOUT)

    def stop(self, error: TielineError) -> None:
        """Whatever waits in the lane's thread raises `error`, the first that was given. Fine after the lane's end."""
        if self.stopped is None:
            self.stopped = error
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def check(self) -> None:
        """Raises what it was stopped with."""
        if self.stopped is not None:
            raise self.stopped

    # -- turns ---------------------------------------------------------------------------------------------------

    @contextmanager
    def working(self) -> Iterator[None]:
        """In turns with other lanes: around everything that a lane's thread does."""
        self._turns = TURNS
        self._turns.take()
        try:
            yield
        finally:
            turns, self._turns = self._turns, None
            turns.give()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Around waiting for anything but the processor."""
        if self._turns is None:
            yield
            return
        with self._turns.resting():
            yield

    def pass_on(self) -> None:
        """A piece is done: let those go first who wait for a turn."""
        if self._turns is not None:
            self._turns.pass_on()

    # -- waiting -------------------------------------------------------------------------------------------------

    def deadline(self, deadline: float, allowed: float, what: str) -> float:
        """When this wait must be over; set at the first of its slices, for which `deadline` is 0.

        Raises LinkClosed when it is over, saying `what`, and what it was stopped with.
        """
        self.check()
        now = time.monotonic()
        if deadline and now >= deadline:
            raise LinkClosed(f"{what} ({allowed:g} s)")
        return deadline or now + allowed

    def for_input(self) -> None:
        """A slice, or until something comes. Others work meanwhile."""
        with self.resting():
            self._input.poll(SLICE * 1000)

    def for_room(self, *, or_input: bool) -> bool:
        """A slice, or until something can be sent; `or_input`, until something comes. True when it did."""
        with self.resting():
            found = (self._either if or_input else self._room).poll(SLICE * 1000)
        return any(event & select.POLLIN for _, event in found)

    def has_input(self, seconds: float = 0.0) -> bool:
        """Whether something has come, or comes within so many seconds. Keeps the turn."""
        return bool(self._input.poll(seconds * 1000))

    def lost(self, error: OSError | None = None) -> NoReturn:
        """The connection is over, by this error or by an end of the stream: says so, or why it was stopped."""
        if self.stopped is not None:
            raise self.stopped from error
        if error is None or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or error.errno in _CUT:
            raise LinkClosed("the lane was cut") from error
        raise LinkClosed(f"the lane was cut ({error.strerror or error})") from error


def _poll(sock: socket.socket, events: int) -> "select.poll":
    poll = select.poll()
    poll.register(sock, events)
    return poll

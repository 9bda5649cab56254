"""A value that comes later: what an `asyncio.Future` is, for whoever answers thousands of them at one stroke.

Whoever made it sets `outcome`, in whatever thread, and calls `tell()` on the loop, once, or `tell_all()` of many. Who
listens is called within that, not in a later turn of the loop: that is what it saves. It can be awaited like any other,
by one.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import msgspec

log = logging.getLogger("tieline.promise")
T = TypeVar("T")


class Listener(Protocol):
    """Who is told, and with which of his own numbers and names."""

    def told(self, number: int, name: str, outcome: Any) -> None:
        """Never raises. `outcome` is the value, or the exception there is instead."""

    def told_all(self) -> None:
        """That was all for now: what several were told may go on together."""


class Promise(msgspec.Struct, Generic[T], kw_only=True, gc=False, eq=False):
    """Until it is told it refers to its listener, who may refer to it: `cancel()` what is not wanted any more."""

    outcome: Any = None
    "The value, or the exception to raise; final once it is told."
    is_told: bool = False
    _listener: Any = None
    _number: int = 0
    _name: str = ""
    _over: Any = None

    def listen(self, listener: Listener, number: int, name: str) -> None:
        """Have the outcome told to this one: at once if it is there already. Only one can wait for it."""
        if self.is_told:
            listener.told(number, name, self.outcome)
            listener.told_all()
        elif self._listener is not None:
            raise RuntimeError("two wait for one promise; the second must wait for the first")
        else:
            self._listener, self._number, self._name = listener, number, name

    def tell(self) -> None:
        """The outcome is there."""
        tell_all((self,))

    def _tell(self) -> None:
        self.is_told = True
        listener = self._listener
        if listener is not None:
            self._listener = None
            listener.told(self._number, self._name, self.outcome)
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def cancel(self) -> None:
        """Who listens is told a CancelledError, now, and nothing later. What is under way is not stopped by that."""
        listener = self._listener
        if listener is not None:
            self._listener = None
            listener.told(self._number, self._name, asyncio.CancelledError())
            listener.told_all()

    def over(self) -> "asyncio.Future[None]":
        """Done when it is told."""
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
            if self.is_told:
                self._over.set_result(None)
        future: asyncio.Future[None] = self._over
        return future

    def future(self) -> "asyncio.Future[T]":
        """For who wants to wait for several things, or to be called in a turn of the loop of his own."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.listen(_Awaiting(future), 0, "")
        return future

    def __await__(self) -> Generator[Any, None, T]:
        return self.future().__await__()


def tell_all(promises: Iterable[Promise[Any]]) -> None:
    """The outcomes of all of these are there. One listener after the other: what the first is told is on its way before
    the last has heard anything."""
    by_listener: dict[Listener | None, list[Promise[Any]]] = {}
    for promise in promises:
        by_listener.setdefault(promise._listener, []).append(promise)
    for listener, theirs in by_listener.items():
        for promise in theirs:
            promise._tell()
        if listener is not None:
            try:
                listener.told_all()
            except Exception:  # one listener's trouble must not keep the next from hearing
                log.exception("%r failed at what it was told", listener)


class _Awaiting:
    """Passes an outcome on to a future."""

    __slots__ = ("_future",)

    def __init__(self, future: "asyncio.Future[Any]") -> None:
        self._future = future

    def told(self, number: int, name: str, outcome: Any) -> None:
        if self._future.done():
            return
        if isinstance(outcome, BaseException):
            self._future.set_exception(outcome)
        else:
            self._future.set_result(outcome)

    def told_all(self) -> None:
        pass


def settle(future: "asyncio.Future[None]", error: BaseException | None = None) -> None:
    """Say that it is done, or went wrong, to whoever may still wait: nothing when that was said, or nobody does.

    For what a thread tells the loop (`call_soon_threadsafe(settle, future, error)`), and for what may be over twice.
    """
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


async def let_go(over: "asyncio.Future[None]", stop: Callable[[], object]) -> None:
    """Wait for what a thread does. A cancelled wait tells it to `stop`, and goes on however often it is cancelled: the
    thread must have let go of everything before its owner goes on."""
    try:
        await asyncio.shield(over)
    except asyncio.CancelledError:
        stop()
        while not over.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([over])
        over.exception()  # looked at: its owner goes on as cancelled
        raise

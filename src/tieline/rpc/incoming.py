"""A stream that comes in: `async for` over the peer's items, under credit. Leaving the loop early cancels the call."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from tieline.errors import InvalidArgument, ProtocolError
from tieline.rpc.arrival import decoder
from tieline.wire.messages import UNREADABLE

T = TypeVar("T")
_TOGETHER = 16
"Elements told as consumed in one go: each time costs as much as to read one."


class Incoming(Generic[T]):
    """Used at one end only, by one task at a time. `aclose()` tells the sender to stop."""

    __slots__ = (
        "_consumed",
        "_decode",
        "_error",
        "_gathering",
        "_items",
        "_loop",
        "_over",
        "_stop",
        "_untold",
        "_untold_bytes",
        "_waiter",
        "name",
    )

    def __init__(
        self, name: str, item: Any, consumed: Callable[[int, int], None], stop: Callable[[], None] | None = None
    ) -> None:
        """`consumed(size, elements)` hears what was read, at the latest when nothing more waits."""
        self.name = name
        self._decode = decoder(item)
        self._consumed = consumed
        self._stop = stop
        self._items: deque[tuple[bytes, bool]] = deque()
        self._error: BaseException | None = None
        self._untold = self._untold_bytes = 0  # elements read, and not yet told as consumed
        self._over = False
        self._gathering = False
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    def push(self, payload: bytes, raw: bool) -> None:
        """One element came; `raw` for DATA. What waits here is bounded by the credit the sender had."""
        if not self._over:
            self._items.append((payload, raw))
            if self._gathering:
                self._consumed(len(payload), 1)
            else:
                self._wake()

    def finish(self, error: BaseException | None = None) -> None:
        """No more will come; `error` is raised after what waits was read."""
        if not self._over:
            self._over, self._error, self._stop = True, error, None
            self._wake()

    @property
    def waiting(self) -> int:
        """Items that are here and can be had at once."""
        return len(self._items)

    @property
    def over(self) -> bool:
        """True when nothing more will come than what waits here."""
        return self._over

    def gather(self) -> None:
        """From now on take whatever comes, without a turn of the loop for each, for `gathered()` to give."""
        self._gathering = True
        elements = self._untold + len(self._items)
        if elements:
            self._consumed(self._untold_bytes + sum(len(payload) for payload, _ in self._items), elements)
            self._untold = self._untold_bytes = 0

    async def gathered(self) -> list[T]:
        """All that came and was not read, when no more will come."""
        if not self._gathering:
            self.gather()
        while not self._over:
            await self._more()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        items, self._items = self._items, deque()
        return [payload if raw else self._value(payload) for payload, raw in items]  # type: ignore[misc]

    def __aiter__(self) -> "Incoming[T]":
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._over:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            await self._more()
        payload, raw = self._items.popleft()
        self._untold += 1
        self._untold_bytes += len(payload)
        if not self._items or self._untold == _TOGETHER:
            self._consumed(self._untold_bytes, self._untold)
            self._untold = self._untold_bytes = 0
        if raw:
            return payload  # type: ignore[return-value]
        return self._value(payload)

    async def _more(self) -> None:
        if self._waiter is not None:
            raise RuntimeError(f"two tasks read the stream of {self.name} at once")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _value(self, payload: bytes) -> T:
        try:
            return self._decode(payload)  # type: ignore[no-any-return]
        except msgspec.ValidationError as error:
            self._close()
            raise InvalidArgument(f"{self.name}: an item of the stream: {error}") from error
        except UNREADABLE as error:
            self._close()
            raise ProtocolError(f"an item of {self.name} cannot be read: {error}") from error

    async def aclose(self) -> None:
        """Want no more: the sender is told to stop. Fine to call twice."""
        self._close()

    def _close(self) -> None:
        stop, self._stop = self._stop, None
        self._items.clear()
        self._over = True
        self._wake()
        if stop is not None:
            stop()

    def abandon(self) -> None:
        """The same as `aclose()`, from whatever thread."""
        stop, self._stop = self._stop, None
        if stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(stop)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

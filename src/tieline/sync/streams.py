"""Streams of the blocking client: what comes is a plain iterator, and plain iterators are sent as streams."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from tieline.rpc.subscription import Subscription
from tieline.sync.loop_thread import LoopThread
from tieline.wire.messages import Event

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Self = TypeVar("Self", bound="Items[Any]")
_BATCH = 64  # items fetched at once when so many are here already: a change of thread costs more than an item
_END: Any = object()


class _Source(Protocol[T_co]):
    """What the asynchronous client gives: an iterator that knows how many items it could give without waiting."""

    @property
    def waiting(self) -> int: ...

    def __anext__(self) -> Coroutine[Any, Any, T_co]: ...

    async def aclose(self) -> None: ...


class Items(Generic[T]):
    """A stream as a plain iterator. `close()`, leaving its `with` block or dropping it tells the sender to stop."""

    def __init__(self, thread: LoopThread, source: _Source[T]) -> None:
        self._thread = thread
        self._source = source
        self._lock = threading.Lock()
        self._ready: deque[T] = deque()
        self._over = False
        self._error: Exception | None = None

    def __iter__(self: Self) -> Self:
        return self

    def __next__(self) -> T:
        with self._lock:
            while not self._ready:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                if self._over:
                    raise StopIteration
                self._thread.run(self._fetch())
            return self._ready.popleft()

    def close(self) -> None:
        """Want no more. A thread that waits for the next item gets the end instead."""
        self._over = True
        self._ready.clear()
        self._thread.run(self._source.aclose())

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        source = getattr(self, "_source", None)
        if source is not None and not self._over:
            # The source belongs to the loop's thread; so does its end.
            self._thread.soon(lambda: asyncio.ensure_future(source.aclose()))

    async def _fetch(self) -> None:
        # Items go into the queue here, not through the result: an interrupt at the wrong moment loses none.
        try:
            self._ready.append(await self._source.__anext__())
            while self._source.waiting and len(self._ready) < _BATCH:
                self._ready.append(await self._source.__anext__())
        except StopAsyncIteration:
            self._over = True
        except Exception as error:  # all of it is raised in the thread that reads
            self._over, self._error = True, error


class Events(Items[Event]):
    """The events of a topic, as a plain iterator."""

    _source: Subscription

    def __init__(self, thread: LoopThread, source: Subscription) -> None:
        super().__init__(thread, source)
        self.position = source.position
        "Of the event handed out last: what to subscribe `after` another time."

    def __next__(self) -> Event:
        event = super().__next__()
        self.position = event.position
        return event

    def open(self, method: str = "topics.subscribe", **params: Any) -> dict[str, Any]:
        """Subscribe now rather than with the first event; see `tieline.Subscription.open`."""
        answer = self._thread.run(self._source.open(method, **params))
        self.position = self._source.position
        return answer

    @property
    def topic(self) -> str:
        """The full name, once open."""
        return self._source.topic


def streamable(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a call, with plain iterators among them as asynchronous ones."""
    return {name: _pulled(value) if hasattr(value, "__next__") else value for name, value in params.items()}


async def _pulled(source: Iterator[T]) -> AsyncIterator[T]:
    """A plain iterator as an asynchronous one. It may block, so each item is fetched in a thread."""
    while (item := await asyncio.to_thread(next, source, _END)) is not _END:
        yield item

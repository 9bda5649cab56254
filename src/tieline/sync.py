"""The client for blocking programs: the same names as the asynchronous one, with the same meaning.

    with tieline.sync.connect("tcp://127.0.0.1:7788") as peer:
        peer.call("greet", name="Ada", timeout=2)
        for n in peer.stream("count", to=3): ...
        for event in peer.subscribe("room/lobby", after=position): ...

Fine to use from several threads at once. All clients of a process share one background thread (loop_thread.py).
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType, UnionType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from tieline import client as asynchronous
from tieline import loop_thread
from tieline.errors import LinkClosed
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.loop_thread import LoopThread
from tieline.rpc.feeds import Subscription
from tieline.rpc.handlers import Handlers
from tieline.sync_datagrams import BlockingDatagrams, datagrams
from tieline.sync_link import BlockingLink, dial
from tieline.transports.address import Address
from tieline.wire.messages import Event

if TYPE_CHECKING:
    from tieline.sync_files import BlockingFiles

__all__ = ["BlockingDatagrams", "BlockingLink", "Client", "Events", "Items", "connect", "datagrams", "dial"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Self = TypeVar("Self", bound="Items[Any]")
_BATCH = 64  # items fetched at once when so many are here already: a change of thread costs more than an item
_END: Any = object()


@contextmanager
def connect(
    address: str = "",
    *,
    profile: str | None = None,
    account: str | None = None,
    device: str | None = None,
    key: str | None = None,
    password: str | None = None,
    pin: str | None = None,
    handlers: Handlers | None = None,
    limits: Limits = DEFAULT,
) -> "Iterator[Client]":
    """A client of the server at `address`, logged in; leaving the block closes it. See `tieline.connect`.

    `handlers` run in the background thread: one that blocks, or uses this client, must be added with `thread=True`.
    """
    thread = loop_thread.shared()
    context = asynchronous.connect(
        address,
        profile=profile,
        account=account,
        device=device,
        key=key,
        password=password,
        pin=pin,
        handlers=handlers,
        limits=limits,
    )
    opened: Future[asynchronous.Client] = Future()
    leave = asyncio.Event()
    held = thread.submit(_hold(thread, context, opened, leave))
    try:
        yield Client(thread, opened.result())
    finally:
        # Not cancelled when it is open: goodbye is said, and waited for.
        if opened.cancel() or opened.exception() is not None:
            held.cancel()
        elif thread.alive:
            thread.soon(leave.set)
            thread.wait(held)


async def _hold(
    thread: LoopThread,
    context: AbstractAsyncContextManager[asynchronous.Client],
    opened: "Future[asynchronous.Client]",
    leave: asyncio.Event,
) -> None:
    """Keep the client open until told to leave, or until this task is cancelled, which is how a program ends."""
    try:
        async with context as client:
            thread.disown.add(client.disown)
            try:
                if opened.set_running_or_notify_cancel():
                    opened.set_result(client)
                    await leave.wait()
            finally:
                thread.disown.discard(client.disown)
    except asyncio.CancelledError:
        if not opened.done():
            opened.set_exception(LinkClosed("the program is ending"))
        raise
    except Exception as error:
        if opened.done():
            raise
        opened.set_exception(error)


class Client:
    """A logged-in peer that comes back by itself. Made by `connect`; any thread may use it."""

    def __init__(self, thread: LoopThread, client: asynchronous.Client) -> None:
        self._thread = thread
        self._client = client

    # Not `returns: Any` in one: a mistake in the type of the answer would then find an overload that allows it.
    @overload
    def call(
        self, method: str, /, *, timeout: float | None = ..., retry: bool = ..., returns: type[T], **params: Any
    ) -> T: ...

    @overload
    def call(
        self, method: str, /, *, timeout: float | None = ..., retry: bool = ..., returns: UnionType, **params: Any
    ) -> Any: ...

    @overload
    def call(
        self, method: str, /, *, timeout: float | None = ..., retry: bool = ..., returns: None = ..., **params: Any
    ) -> Any: ...

    def call(
        self,
        method: str,
        /,
        *,
        timeout: float | None = None,
        retry: bool = False,
        returns: Any = Any,
        **params: Any,
    ) -> Any:
        """Call a method and wait for its value; see `tieline.Peer.call`. Ctrl-C while waiting cancels the handler.

        One parameter may be an iterator, such as a generator: it is sent as a stream.
        """
        params = _streamable(params)
        return self._thread.run(self._client.call(method, timeout=timeout, retry=retry, returns=returns, **params))

    def stream(
        self, method: str, /, *, timeout: float | None = None, returns: Any = Any, **params: Any
    ) -> "Items[Any]":
        """Call a method that answers with a stream: `for item in peer.stream(…)`. Leaving the loop cancels it."""
        inner = self._client.stream(method, timeout=timeout, returns=returns, **_streamable(params))
        return Items(self._thread, inner)

    def subscribe(self, topic: str, *, after: int | None = None, value: Any = Any) -> "Events":
        """Follow a topic: `for event in peer.subscribe("room/lobby", after=position)`; see `tieline.Peer.subscribe`."""

        async def make() -> Subscription:
            return self._client.subscribe(topic, after=after, value=value)

        return Events(self._thread, self._thread.run(make()))

    def serve(self, handlers: Handlers, *, revoked: Callable[[str, str | None], None] | None = None) -> str:
        """Let others call these methods through the server, as `NAME/method`; see `tieline.Peer.serve`.

        They run in the background thread: one that blocks, or uses this client, must be added with `thread=True`.
        """
        return self._thread.run(self._client.serve(handlers, revoked=revoked))

    def withdraw(self) -> None:
        """Let nobody call anything here any more; what is open goes on."""
        self._thread.run(self._client.withdraw())

    @property
    def files(self) -> "BlockingFiles":
        """Files of the server: `put`, `get`, `list`, `open`."""
        from tieline.sync_files import BlockingFiles  # most who connect move no files, and start faster without

        return BlockingFiles(self._thread, lambda: self._client.files)

    def close(self, reason: str = "closed by this side") -> None:
        """Say goodbye and do not come back; leaving the `with` block does it too."""
        self._thread.run(self._client.close(reason))

    @property
    def identity(self) -> Identity:
        """Oneself, as the server knows one."""
        return self._client.identity

    @property
    def address(self) -> Address:
        return self._client.address

    @property
    def server_name(self) -> str:
        """What the server calls itself."""
        return self._client.server_name

    @property
    def is_open(self) -> bool:
        """True while there is a link."""
        return self._client.is_open

    def __repr__(self) -> str:
        return f"<tieline.sync {self._client!r}>"


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
        except Exception as error:
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


def _streamable(params: dict[str, Any]) -> dict[str, Any]:
    return {name: _pulled(value) if hasattr(value, "__next__") else value for name, value in params.items()}


async def _pulled(source: Iterator[T]) -> AsyncIterator[T]:
    """A plain iterator as an asynchronous one. It may block, so each item is fetched in a thread."""
    while (item := await asyncio.to_thread(next, source, _END)) is not _END:
        yield item

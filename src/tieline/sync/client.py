"""The same client for programs that block. Made by `tieline.sync.connect`."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tieline import client as asynchronous
from tieline.errors import LinkClosed
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.rpc.handlers import Handlers
from tieline.rpc.subscription import Subscription
from tieline.sync import loop_thread
from tieline.sync.loop_thread import LoopThread
from tieline.sync.streams import Events, Items, streamable
from tieline.transports.address import Address

if TYPE_CHECKING:
    from tieline.sync.files import BlockingFiles

T = TypeVar("T")


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
    except Exception as error:  # whatever it was belongs to the thread that waits for the client
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
        params = streamable(params)
        return self._thread.run(self._client.call(method, timeout=timeout, retry=retry, returns=returns, **params))

    @overload
    def stream(self, method: str, /, *, timeout: float | None = ..., returns: type[T], **params: Any) -> Items[T]: ...

    @overload
    def stream(
        self, method: str, /, *, timeout: float | None = ..., returns: UnionType | None = ..., **params: Any
    ) -> Items[Any]: ...

    def stream(self, method: str, /, *, timeout: float | None = None, returns: Any = Any, **params: Any) -> Items[Any]:
        """Call a method that answers with a stream: `for item in peer.stream(…)`. Leaving the loop cancels it."""
        inner = self._client.stream(method, timeout=timeout, returns=returns, **streamable(params))
        return Items(self._thread, inner)

    def subscribe(self, topic: str, *, after: int | None = None, value: Any = Any) -> Events:
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
        from tieline.sync.files import BlockingFiles  # most who connect move no files, and start faster without

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

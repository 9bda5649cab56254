"""The items that answer one call, as the one who called reads them."""

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tieline.rpc.incoming import Incoming

if TYPE_CHECKING:
    from tieline.rpc.caller import Caller

T = TypeVar("T")


class Stream(Generic[T]):
    """The items that answer one call, as an async iterator. Leaving the loop, or `aclose()`, cancels the handler.

    Made by `peer.stream`.
    """

    __slots__ = ("_ask", "_begun", "_closed", "_incoming")

    def __init__(
        self, caller: "Caller", method: str, timeout: float | None, returns: Any, params: dict[str, Any]
    ) -> None:
        self._ask = (caller, method, timeout, returns, params)
        self._begun = self._closed = False
        self._incoming: Incoming[T] | None = None

    def __aiter__(self) -> "Stream[T]":
        return self

    async def __anext__(self) -> T:
        if self._incoming is None:
            await self._begin()
        if self._incoming is None:
            raise StopAsyncIteration
        return await self._incoming.__anext__()

    @property
    def waiting(self) -> int:
        """Items that are here and can be had at once."""
        return 0 if self._incoming is None else self._incoming.waiting

    async def aclose(self) -> None:
        """Want no more of it: the sender is told to stop. Fine to call twice."""
        self._closed = True
        if self._incoming is not None:
            await self._incoming.aclose()

    def __del__(self) -> None:
        # `break` out of `async for` drops the last reference: the sender must not go on for nobody.
        incoming = getattr(self, "_incoming", None)
        if incoming is not None:
            incoming.abandon()

    async def _begin(self) -> None:
        if self._closed:
            return
        if self._begun:
            raise RuntimeError(f"two tasks read the stream of {self._ask[1]} at once")
        self._begun = True
        try:
            caller, *rest = self._ask
            self._incoming = await caller.start_stream(*rest)
        finally:
            self._begun = False
        if self._closed:
            await self._incoming.aclose()

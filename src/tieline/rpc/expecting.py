"""Who expects what comes on a channel. For ordinary calls a future and an `Incoming`, for those passed on a relay."""

from collections.abc import Callable
from typing import Any, Protocol


class Awaiting(Protocol):
    """Of the answer of a call."""

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


class Arriving(Protocol):
    """Of the elements of a stream."""

    def push(self, payload: bytes, raw: bool) -> None: ...

    def finish(self, error: BaseException | None = None) -> None: ...


Reply = tuple[Awaiting, Callable[[bytes], Any], str]
"Who waits for the answer of a call, what reads it, and the method's name."

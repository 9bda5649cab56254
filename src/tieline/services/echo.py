"""The first thing everybody writes with sockets, as a service: what comes in goes out again."""

from collections.abc import AsyncIterator
from typing import Any

from tieline.rpc.handlers import Handlers


def upper(text: str) -> str:
    """The text in capitals."""
    return text.upper()


def say(value: Any) -> Any:
    """The value itself."""
    return value


async def count(to: int) -> AsyncIterator[int]:
    """1, 2, 3 … as a stream, no faster than it is read."""
    for number in range(1, to + 1):
        yield number


def install(handlers: Handlers) -> None:
    """For everybody who is logged in."""
    handlers.add(upper, "echo.upper")
    handlers.add(say, "echo.say")
    handlers.add(count, "echo.count")

"""A machine that can be called: what it offers, and what happened there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tieline.errors import (
    Conflict,
)
from tieline.rpc.handlers import Handlers


class Lab(Handlers):
    """What the machine of these tests offers, and what happened there."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []
        self.given = 0
        self.cancelled = 0
        self.closed = 0
        self.gate = asyncio.Event()

        @self.method("add")
        def add(a: int, b: int) -> int:
            """The sum."""
            return a + b

        @self.method("say")
        def say(value: Any) -> Any:
            return value

        @self.method("fail")
        async def fail() -> None:
            raise Conflict("two of a kind", {"kind": [1, None]})

        @self.method("break")
        async def broken() -> None:
            raise RuntimeError("secret details")

        @self.method("wait")
        async def wait() -> str:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            return "done"

        @self.method("stop")
        async def stop() -> None:
            raise asyncio.CancelledError

        @self.method("items")
        async def items(values: list[Any]) -> AsyncIterator[Any]:
            for value in values:
                yield value

        @self.method("flood")
        async def flood(pieces: int, size: int) -> AsyncIterator[bytes]:
            try:
                for number in range(pieces):
                    self.given = number + 1
                    yield number.to_bytes(4, "big") * (size // 4)
            finally:
                self.closed += 1

        @self.method("then.fail")
        async def then_fail(count: int) -> AsyncIterator[int]:
            for number in range(count):
                yield number
            raise Conflict("that was all")

        @self.method("take")
        async def take(source: AsyncIterator[Any], most: int = 1 << 30) -> int:
            await self.gate.wait()
            async for item in source:
                self.taken.append(item)
                if len(self.taken) >= most:
                    break
            return len(self.taken)

        @self.method("echo")
        async def echo(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for item in source:
                yield item

        self.gate.set()


async def source(values, pause=None):
    for value in values:
        if pause is not None:
            await pause.wait()
        yield value

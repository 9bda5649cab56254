"""The work of answering datagrams: at once, or in a bounded number of tasks. Mistakes are logged and end nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from tieline.transports.endpoint import Place, shown

log = logging.getLogger("tieline.datagrams")
Answer = Callable[[bytes, Place], "bytes | Awaitable[bytes | None] | None"]
Reply = Callable[[bytes], None]


class Answers:
    """`function` is called at once; what it gives that is neither bytes nor None goes to `later`."""

    __slots__ = ("_dropped", "_limit", "_tasks", "function")

    def __init__(self, answer: Answer, dropped: Callable[[str], None], limit: int) -> None:
        self.function = answer
        self._dropped = dropped
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, answer: Any, sender: Place, reply: Reply) -> None:
        """Wait for it, unless too many wait already, and hand what comes to `reply`."""
        if isinstance(answer, (bytearray, memoryview)):
            reply(bytes(answer))
        elif not hasattr(answer, "__await__"):
            log.error("the answer to %s is %.80r; it must be bytes or None", shown(sender), answer)
            self._dropped("answer failed")
        elif len(self._tasks) >= self._limit:
            if asyncio.iscoroutine(answer):
                answer.close()
            elif isinstance(answer, asyncio.Future):
                answer.cancel()
            self._dropped("overloaded")
        else:
            task = asyncio.ensure_future(self._wait(answer, sender, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait(self, answer: Awaitable[Any], sender: Place, reply: Reply) -> None:
        try:
            given = await answer
        except Exception:  # the handler is the user's, and may raise anything
            self.failed(sender)
            return
        if isinstance(given, bytes):
            reply(given)
        elif given is not None:
            self.later(given if not hasattr(given, "__await__") else repr(given), sender, reply)

    def failed(self, sender: Place) -> None:
        """While an exception of `function` is handled."""
        log.exception("the answer to a datagram from %s failed", shown(sender))
        self._dropped("answer failed")

"""Many descriptors, of which the loop is told by one: whatever becomes readable together is dealt with in one turn.

A command has three, and when it ends all of them are readable at once. To add and remove one with uvloop takes seven
system calls, here two.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Protocol


class Watching(Protocol):
    """A Watch, or a loop itself."""

    def add_reader(self, descriptor: int, tell: Callable[[], object], /) -> object: ...

    def remove_reader(self, descriptor: int, /) -> object: ...


class Watch:
    """An epoll; `close()` when nothing is watched any more."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._tell: dict[int, Callable[[], object]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._ready)

    def add_reader(self, descriptor: int, tell: Callable[[], object], /) -> None:
        """Call `tell()` whenever there is something to read, or the end of it."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._tell[descriptor] = tell

    def remove_reader(self, descriptor: int, /) -> None:
        """Before it is closed. Fine to call twice."""
        if self._tell.pop(descriptor, None) is not None and not self._epoll.closed:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _ready(self) -> None:
        ready = [(descriptor, self._tell[descriptor]) for descriptor, _ in self._epoll.poll(0)]
        for descriptor, tell in ready:
            # One of those before it may have closed it, and its number be another's by now.
            if self._tell.get(descriptor) is tell:
                tell()


def watch() -> "Watch | asyncio.AbstractEventLoop":
    """A new Watch; where the system has no epoll, the loop."""
    return Watch() if hasattr(select, "epoll") else asyncio.get_running_loop()

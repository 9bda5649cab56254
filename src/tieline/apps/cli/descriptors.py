"""Where bytes go: this process's outputs, written without holding up the loop and without touching their settings.

Setting O_NONBLOCK on a standard output would set it for every process that shares it, so a pipe is opened anew by its
name in /proc, files take everything at once, and the rest (terminals, sockets) is written to by a thread.
"""

import asyncio
import os
import queue
import stat
import threading
from typing import Protocol

from tieline.processes.pipes import Writer
from tieline.promise import settle


class Sink(Protocol):
    async def write(self, data: bytes) -> None:
        """All of it. Raises BrokenPipeError when nobody reads it any more, OSError."""


def sink(descriptor: int) -> Sink:
    """The best way to write to this descriptor."""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode):
            return Writer(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK))
        if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor)):
            return AtOnce(descriptor)
    except OSError:
        pass  # no /proc here, or a pipe of another user
    return ByThread(descriptor)


class AtOnce:
    """For what never makes one wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes) -> None:
        _write(self._descriptor, data)


class ByThread:
    """For what may block: a thread that nobody waits for when the program ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._started = False

    async def write(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name=f"writes {self._descriptor}", daemon=True).start()
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((data, done))
        await done

    def _run(self) -> None:
        while True:
            data, done = self._jobs.get()
            error: OSError | None = None
            try:
                _write(self._descriptor, data)
            except OSError as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(settle, done, error)
            except RuntimeError:
                return  # the loop has ended meanwhile


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

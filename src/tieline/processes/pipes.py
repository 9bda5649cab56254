"""The ends of a program's pipes, as the loop reads and writes them: by callback, without blocking, never ahead of who
takes it. A program whose output nobody takes stops by itself, as at any full pipe."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable

from tieline.errors import LinkError
from tieline.limits import KiB, MiB
from tieline.processes.watch import Watching
from tieline.promise import settle

PIECE = 128 * KiB
"Read at once at most."
_SIZE = 1 * MiB
"Asked of the kernel for a pipe that has shown to be busy: fewer wake-ups for the same bytes."
_F_SETPIPE_SZ = 1031
_AT_ONCE = 4
"Pieces read in one callback at most, so that one busy program does not keep the loop from the others."


class _ThreadBuffer(threading.local):
    def __init__(self) -> None:
        self.view = memoryview(bytearray(PIECE))


_shared = _ThreadBuffer()


class Reader:
    """The reading end of a pipe or terminal; owned, and closed at its end.

    `take(data)` gets a view of a buffer that is valid during the call; `room()` says how much it takes now.
    """

    __slots__ = ("_busy", "_descriptor", "_loop", "_pause", "_room", "_take", "_watch", "at_end", "total")

    def __init__(self, descriptor: int, watch: Watching | None = None) -> None:
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._watch: Watching = watch if watch is not None else self._loop
        self._descriptor = descriptor
        self._pause: asyncio.Future[bool] | None = None
        self._busy = False
        self.at_end: Callable[[], object] | None = None
        "Called as its end is found: a turn of the loop sooner than whoever awaits `read`."
        self.total = 0
        "Bytes read."

    async def read(self, take: Callable[[memoryview], None], room: Callable[[], int]) -> bool:
        """Until there is no room (True), or until the end (False). Cancelling is safe."""
        if self._descriptor < 0:
            return False
        self._take, self._room = take, room
        self._pause = self._loop.create_future()
        self._watch.add_reader(self._descriptor, self._readable)
        try:
            more = await self._pause
        finally:
            if self._descriptor >= 0:
                self._watch.remove_reader(self._descriptor)
            self._pause = None
        if not more:
            self.close()
        return more

    def close(self) -> None:
        """Whoever still writes to it gets SIGPIPE. Fine to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            if self._pause is not None:
                self._watch.remove_reader(descriptor)
                self._settle(more=False)
            os.close(descriptor)

    def _readable(self) -> None:
        buffer = _shared.view
        for _ in range(_AT_ONCE):
            room = self._room()
            if room <= 0:
                self._settle(more=True)
                return
            try:
                size = os.readv(self._descriptor, (buffer[:room],))
            except BlockingIOError:
                return
            except OSError:  # of a terminal: nobody has it open any more
                size = 0
            if not size:
                self._settle(more=False)
                if self.at_end is not None:
                    self.at_end()
                return
            self.total += size
            self._take(buffer[:size])
            if size < 4 * KiB:
                return
            if not self._busy:
                self._busy = True
                _enlarge(self._descriptor)

    def _settle(self, *, more: bool) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(more)


class Writer:
    """The writing end of a pipe or terminal; owned, and closed when `feed` comes to the end of its source."""

    __slots__ = ("_busy", "_descriptor", "_loop", "_waiting")

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._busy = False
        self._waiting: asyncio.Future[None] | None = None

    async def feed(self, source: AsyncIterator[bytes]) -> None:
        """All of it, then the end of input. A program that wants no more of it is no error; the rest stays unread.

        A source that breaks off is no end of input: a program must not take a part for the whole. It stays open.
        """
        try:
            async for data in source:
                await self.write(data)
        except BrokenPipeError:
            pass
        except LinkError:
            return
        self.close()

    async def write(self, data: bytes) -> None:
        """All of it. Raises BrokenPipeError when nobody reads any more. Cancelling may leave a part written."""
        rest = memoryview(data)
        while rest:
            if self._descriptor < 0:
                raise BrokenPipeError
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                if not self._busy:
                    self._busy = True
                    _enlarge(self._descriptor)
                    continue
                await self._writable()
            except OSError as error:
                raise BrokenPipeError from error

    def close(self) -> None:
        """Fine to call twice. Who waits to write is told that nobody reads any more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            if self._waiting is not None:
                # Before the number is another's.
                self._loop.remove_writer(descriptor)
                settle(self._waiting)
            os.close(descriptor)

    async def _writable(self) -> None:
        self._waiting = self._loop.create_future()
        self._loop.add_writer(self._descriptor, settle, self._waiting)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if self._descriptor >= 0:
                self._loop.remove_writer(self._descriptor)


def _enlarge(descriptor: int) -> None:
    if sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _SIZE)
        except OSError:
            pass  # the user has enough large ones

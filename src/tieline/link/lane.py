"""A thread that moves the bytes of one transfer between a plain socket and a file, while the loop waits.

The socket stays non-blocking, since its mode is shared with the loop's descriptor of it: the thread polls. It ends
when all is moved, when the peer is gone, and when the link is closed or the waiting task cancelled.
"""

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from tieline.limits import KiB, MiB
from tieline.link.parting import parting
from tieline.promise import let_go, settle

if TYPE_CHECKING:
    from tieline.link.link import Link

LANES = 16
"Threads at most for transfers of this process; further transfers go by pieces."
_BUFFER = 512 * KiB
_AT_ONCE = 1024 * MiB  # sendfile takes no more than 2 GiB
_REPORT = 0.1  # seconds between reports of progress

Progress = Callable[[int], None]


class Lane:
    """One transfer. Make it, then call one of `receive` and `send`, once; both return how many bytes were moved."""

    busy = 0
    "How many are at work."

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._moved = 0
        self._progress: Progress | None = None
        self._reported = 0.0
        self.lost: OSError | None = None
        "How the connection ended, when it was that."

    async def receive(self, file: BinaryIO, size: int, progress: Progress | None) -> int:
        self._progress = progress
        if self._link._reading:
            self._link._reading = False
            self._link._stream.pause_reading()
        moved = await self._run(lambda sock, wait: self._receive(sock, wait, file, size))
        self._link._stream.bytes_in += moved
        return moved

    async def send(self, file: BinaryIO, offset: int, size: int, progress: Progress | None) -> int:
        self._progress = progress
        moved = await self._run(lambda sock, wait: self._send(sock, wait, file.fileno(), offset, size))
        self._link._stream.bytes_out += moved
        return moved

    # -- on the loop ---------------------------------------------------------------------------------------------

    async def _run(self, work: "Callable[[socket.socket, _Wait], None]") -> int:
        original = self._link.socket
        if original is None or original.fileno() < 0:  # gone since this lane was chosen
            raise self._link._over()
        sock = socket.socket(fileno=os.dup(original.fileno()))
        wait = _Wait(sock)
        over: asyncio.Future[None] = self._loop.create_future()
        thread = threading.Thread(target=self._work, args=(work, sock, wait, over), name="tieline.lane", daemon=True)
        gone, stop = self._link._gone, lambda _: wait.stop()
        gone.add_done_callback(stop)
        Lane.busy += 1
        thread.start()
        try:
            await let_go(over, wait.stop)
        finally:
            Lane.busy -= 1
            thread.join()  # it has nothing more to do
            gone.remove_done_callback(stop)
            wait.close()
            sock.close()
        if self.lost is not None and self._link.end is None:
            self._link.abort(parting(self.lost))
        return self._moved

    # -- in the thread -------------------------------------------------------------------------------------------

    def _work(
        self,
        work: "Callable[[socket.socket, _Wait], None]",
        sock: socket.socket,
        wait: "_Wait",
        over: "asyncio.Future[None]",
    ) -> None:
        error: BaseException | None = None
        try:
            work(sock, wait)
        except ConnectionError as lost:
            self.lost = lost
        except BaseException as raised:  # all of it is raised where the thread is waited for
            error = raised
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            self._loop.call_soon_threadsafe(settle, over, error)

    def _receive(self, sock: socket.socket, wait: "_Wait", file: BinaryIO, size: int) -> None:
        buffer = memoryview(bytearray(min(_BUFFER, size)))
        while self._moved < size:
            try:
                got = sock.recv_into(buffer, min(len(buffer), size - self._moved))
            except BlockingIOError:
                if not wait.until(select.POLLIN):
                    return
                continue
            if not got:
                return
            piece = buffer[:got]
            while piece:
                piece = piece[file.write(piece) :]
            self._report(got)

    def _send(self, sock: socket.socket, wait: "_Wait", file: int, offset: int, size: int) -> None:
        while self._moved < size:
            try:
                sent = os.sendfile(sock.fileno(), file, offset + self._moved, min(_AT_ONCE, size - self._moved))
            except BlockingIOError:
                if not wait.until(select.POLLOUT):
                    return
                continue
            if not sent:
                return
            self._report(sent)

    def _report(self, size: int) -> None:
        self._moved += size
        if self._link._silence is not None:
            self._link._silence.moved += size
        if self._progress is not None:
            now = time.monotonic()
            if now - self._reported >= _REPORT:
                self._reported = now
                self._loop.call_soon_threadsafe(self._progress, self._moved)


class _Wait:
    """Waits in the thread until the socket is ready, or until told to stop from anywhere."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._told, self._tell = os.pipe()

    def until(self, event: int) -> bool:
        poll = select.poll()
        poll.register(self._sock, event)
        poll.register(self._told, select.POLLIN)
        return all(descriptor != self._told for descriptor, _ in poll.poll())

    def stop(self) -> None:
        if self._tell >= 0:
            os.write(self._tell, b"x")

    def close(self) -> None:
        os.close(self._told)
        os.close(self._tell)
        self._tell = -1

"""A UDP socket on the loop: whole datagrams in by callback, datagrams out by `send`. Knows nothing of what they mean.

Reads with the socket's own calls in batches: that costs as little as a blocking loop does, and a flood can neither
starve the loop nor make it hold anything.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from tieline.errors import LinkClosed
from tieline.transports.endpoint import Place


class DatagramReceiver(Protocol):
    """Who the datagrams are for. All calls come from the loop's thread; none may raise."""

    def received(self, datagram: bytes, sender: Place) -> None:
        """One whole datagram; one byte longer than `size` says that it was cut off."""

    def unreachable(self, error: OSError) -> None:
        """The network said that something sent before did not arrive (ICMP). Anybody can forge that."""


class DatagramSocket:
    """Owns `sock` (not blocking) from here on: `start()`, `close()`. `size` is the longest datagram, in bytes."""

    __slots__ = ("_batch", "_fd", "_loop", "_receiver", "_size", "_writable", "closed", "connected", "sendto", "sock")

    def __init__(self, sock: socket.socket, receiver: DatagramReceiver, *, size: int, batch: int) -> None:
        self.sock = sock
        self.closed = False
        self.sendto: Callable[[bytes, Place], object] = sock.sendto
        "The socket's own, for the one who answers at once and handles its OSErrors."
        try:
            sock.getpeername()
            self.connected = True
            self.sendto = lambda datagram, to: sock.send(datagram)  # some systems refuse a connected socket's sendto
        except OSError:
            self.connected = False
        self._fd = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._receiver = receiver
        self._size = size
        self._batch = batch
        self._writable: asyncio.Future[None] | None = None

    def start(self) -> None:
        self._loop.add_reader(self._fd, self._readable)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        if self._writable is not None:
            self._now_writable()
        self.sock.close()

    async def send(self, datagram: bytes, to: Place) -> None:
        """Wait while the kernel's buffer is full. Raises the socket's OSErrors, and LinkClosed."""
        while not self.closed:
            try:
                self.sendto(datagram, to)
                return
            except BlockingIOError:
                await self._full()
        raise LinkClosed("this endpoint is closed")

    def _readable(self) -> None:
        recvfrom, received, size = self.sock.recvfrom, self._receiver.received, self._size + 1
        try:
            for _ in range(self._batch):
                received(*recvfrom(size))
        except BlockingIOError:
            pass
        except OSError as error:
            if not self.closed:  # otherwise it was closed by who received the one before
                self._receiver.unreachable(error)

    async def _full(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()
            self._loop.add_writer(self._fd, self._now_writable)
        await asyncio.shield(self._writable)

    def _now_writable(self) -> None:
        self._loop.remove_writer(self._fd)
        waiting, self._writable = self._writable, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def __repr__(self) -> str:
        return f"<DatagramSocket {'closed' if self.closed else self.sock.getsockname()}>"

"""Datagrams for blocking programs: the same names as the asynchronous ones, with the same meaning.

    with tieline.sync.datagrams(to="udp://127.0.0.1:8888") as endpoint:
        print(endpoint.request(b"hello", timeout=2))
    with tieline.sync.datagrams("udp://:8888") as endpoint:
        for message, sender in endpoint: endpoint.send(message, sender)

Fine to use from several threads at once. All of a process share one background thread (loop_thread.py).
"""

import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from tieline.errors import LinkClosed
from tieline.limits import DEFAULT, Limits
from tieline.link import datagram_opening
from tieline.link.answers import Answer
from tieline.link.datagrams import Datagrams
from tieline.link.intake import Counts
from tieline.sync.loop_thread import LoopThread, entered, within
from tieline.transports.endpoint import Place
from tieline.wire.keyring import Keyring
from tieline.wire.sealed import Key


@contextmanager
def datagrams(
    address: str = "",
    answer: Answer | None = None,
    *,
    to: str = "",
    key: bytes | str | Key | Keyring | None = None,
    limits: Limits = DEFAULT,
    broadcast: bool = False,
    multicast: str = "",
    interface: str = "",
    ttl: int | None = None,
    loop: bool | None = None,
    send_buffer: int | None = None,
    receive_buffer: int | None = None,
) -> "Iterator[BlockingDatagrams]":
    """A blocking endpoint for datagrams; leaving the block closes it. See `tieline.datagrams`.

    `answer` runs in the background thread, which all of the process share: it must not block.
    """

    def begin() -> AbstractAsyncContextManager[Datagrams]:
        return datagram_opening.datagrams(
            address,
            answer,
            to=to,
            key=key,
            limits=limits,
            broadcast=broadcast,
            multicast=multicast,
            interface=interface,
            ttl=ttl,
            loop=loop,
            send_buffer=send_buffer,
            receive_buffer=receive_buffer,
        )

    with entered(begin) as (thread, endpoint):
        yield BlockingDatagrams(thread, endpoint)


class BlockingDatagrams:
    """A `tieline.Datagrams` whose calls block. Made by `tieline.sync.datagrams`."""

    def __init__(self, thread: LoopThread, endpoint: Datagrams) -> None:
        self._thread = thread
        self._endpoint = endpoint

    def send(self, message: bytes, to: Place | str | None = None) -> None:
        """Send one datagram: to a sender, to "udp://host:port", or to whom this endpoint was made for."""
        self._thread.run(self._endpoint.send(message, to))

    def request(self, message: bytes, to: Place | str | None = None, *, timeout: float = 5.0, tries: int = 1) -> bytes:
        """Send, and wait for the next datagram that comes from there; see `tieline.Datagrams.request`."""
        return self._thread.run(self._endpoint.request(message, to, timeout=timeout, tries=tries))

    def receive(self, *, timeout: float | None = None) -> tuple[bytes, Place]:
        """The next message and its sender. Raises LinkClosed at the end, DeadlineExceeded after `timeout` seconds."""
        return self._thread.run(within(self._endpoint.receive(), timeout))

    def __iter__(self) -> Iterator[tuple[bytes, Place]]:
        while True:
            try:
                yield self.receive()
            except LinkClosed:
                return

    def close(self) -> None:
        """Leaving the `with` block does it too."""
        self._thread.run(self._endpoint.close())

    def owner(self, sender: Place) -> Any:
        """Whom the key was handed out to that this sender has proven to hold."""
        return self._endpoint.owner(sender)

    @property
    def address(self) -> str:
        """Where it receives, as text: "udp://127.0.0.1:8888"."""
        return self._endpoint.address

    @property
    def counts(self) -> Counts:
        return self._endpoint.counts

    @property
    def sockets(self) -> list[socket.socket]:
        """For reading and setting options, never for datagrams."""
        return self._endpoint.sockets

    @property
    def is_open(self) -> bool:
        """False once its block was left, or all its sockets are gone."""
        return self._endpoint.is_open

    def __repr__(self) -> str:
        return f"<tieline.sync {self._endpoint!r}>"

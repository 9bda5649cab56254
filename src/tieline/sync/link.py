"""Links of any codec for blocking programs: the same names as the asynchronous ones, with the same meaning.

    with tieline.sync.dial("tcp://127.0.0.1:8888", codec=tieline.Lines()) as link:
        link.send("hello")
        print(link.receive(timeout=2))

One thread may receive while another sends. All of a process share one background thread (loop_thread.py).
"""

import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tieline.limits import DEFAULT, Limits
from tieline.link import dialled
from tieline.link.link import Link
from tieline.link.proof import Proof
from tieline.sync.loop_thread import LoopThread, entered, within
from tieline.transports.endpoint import Endpoint
from tieline.transports.sockets import KeepAlive
from tieline.wire.codecs import Codec
from tieline.wire.inbox import MORE

T = TypeVar("T")


@contextmanager
def dial(
    address: str,
    *,
    codec: Codec | None = None,
    tls: ssl.SSLContext | str | Path | None = None,
    challenge: Proof | None = None,
    limits: Limits = DEFAULT,
    timeout: float | None = None,
    no_delay: bool = True,
    keep_alive: bool | KeepAlive = True,
    send_buffer: int | None = None,
    receive_buffer: int | None = None,
) -> "Iterator[BlockingLink]":
    """A blocking link to `address`; leaving the block closes it. See `tieline.dial`."""

    def begin() -> AbstractAsyncContextManager[Link]:
        return dialled.dial(
            address,
            codec=codec,
            tls=tls,
            challenge=challenge,
            limits=limits,
            timeout=timeout,
            no_delay=no_delay,
            keep_alive=keep_alive,
            send_buffer=send_buffer,
            receive_buffer=receive_buffer,
        )

    with entered(begin) as (thread, link):
        yield BlockingLink(thread, link)


class BlockingLink:
    """A `tieline.Link` whose calls block. Made by `tieline.sync.dial`."""

    def __init__(self, thread: LoopThread, link: Link) -> None:
        self._thread = thread
        self._link = link

    def receive(self, default: Any = None, *, timeout: float | None = None) -> Any:
        """The next message; `default` when the peer is gone. Raises DeadlineExceeded after `timeout` seconds."""
        return self._run(self._link.receive(default), timeout)

    def __iter__(self) -> Iterator[Any]:
        while (message := self.receive(MORE)) is not MORE:
            yield message

    def receive_exactly(self, size: int, *, timeout: float | None = None) -> bytes:
        """The next `size` bytes, whatever the codec. Raises LinkClosed when the peer is gone before they are here."""
        return self._run(self._link.receive_exactly(size), timeout)

    def receive_into(self, file: BinaryIO, size: int, progress: Callable[[int], None] | None = None) -> None:
        """Write the next `size` bytes to `file`. `progress` is called in the background thread."""
        self._run(self._link.receive_into(file, size, progress))

    def send(self, message: Any, *, timeout: float | None = None) -> None:
        """Send one message; waits while the peer is behind with reading."""
        self._run(self._link.send(message), timeout)

    def send_file(
        self,
        file: BinaryIO,
        offset: int = 0,
        size: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Send a file's bytes past the codec; see `tieline.Link.send_file`."""
        return self._run(self._link.send_file(file, offset, size, progress))

    def finish(self) -> None:
        """Send no more, and go on receiving."""
        self._do(self._link.finish)

    def close(self, reason: str = "closed by this side") -> None:
        """Send what waits, then close, as leaving the `with` block does. What has come and was not received is thrown
        away."""
        self._do(lambda: self._link.close(reason))

    def abort(self, reason: str = "cut by this side") -> None:
        """Close now; what waits to be sent is lost, and the peer may see a reset."""
        self._do(lambda: self._link.abort(reason))

    def set_no_delay(self, yes: bool) -> None:
        """Whether small messages leave at once; a socket option, but one that event loops set as they like."""
        self._do(lambda: self._link.set_no_delay(yes))

    @property
    def codec(self) -> Codec:
        """May be changed at any time, as `tieline.Link.codec`."""
        return self._link.codec

    @codec.setter
    def codec(self, codec: Codec) -> None:
        def change() -> None:
            self._link.codec = codec

        self._do(change)

    @property
    def end(self) -> str | None:
        """Why it ended, in words; None while messages may still come."""
        return self._link.end

    @property
    def info(self) -> Endpoint:
        """What is known of the other end: kind of transport, addresses, TLS, user id of a Unix socket's peer."""
        return self._link.info

    @property
    def peer(self) -> str:
        """The other end's address, as text."""
        return self._link.peer

    @property
    def local(self) -> str:
        """This end's address, as text."""
        return self._link.local

    @property
    def is_open(self) -> bool:
        """True while messages can be sent."""
        return self._link.is_open

    def __repr__(self) -> str:
        return f"<tieline.sync {self._link!r}>"

    def _do(self, action: Callable[[], object]) -> None:
        async def act() -> None:
            action()

        self._run(act())

    def _run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        return self._thread.run(work if timeout is None else within(work, timeout))

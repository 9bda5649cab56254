"""Datagrams: whole messages each way, each on its own; any may be lost, doubled or late, and none is a stream.

    async with tieline.datagrams("udp://127.0.0.1:8888", answer) as endpoint: ...        # answer(message, sender)
    async with tieline.datagrams("udp://:8888") as endpoint:
        async for message, sender in endpoint: await endpoint.send(message, sender)
    async with tieline.datagrams(to="udp://127.0.0.1:8888") as endpoint: await endpoint.request(b"hello")

With a key, every datagram is sealed: what is not is dropped and counted, never answered and never raised.
"""

import asyncio
import errno
import socket
from collections import deque
from typing import Any, Self

from msgspec import structs

from tieline.errors import ConfigError, DeadlineExceeded, DialFailed, LimitExceeded, LinkClosed
from tieline.limits import Limits
from tieline.link.answers import Answer, Answers
from tieline.link.guard import Guard
from tieline.link.intake import Counts, Intake
from tieline.transports.address import Address
from tieline.transports.datagram import DatagramSocket
from tieline.transports.datagram_sockets import numeric, place_of
from tieline.transports.endpoint import Place, shown
from tieline.wire.sealed import OVERHEAD

_CARRIED = 65_507  # bytes in a datagram over IPv4
_KEEPING = 256  # bytes that keeping a message costs beside its own


class Datagrams:
    """An endpoint for datagrams. Made by `tieline.datagrams`; leaving its block closes it."""

    def __init__(self, limits: Limits, answer: Answer | None, to: Place | None, address: Address | None) -> None:
        self.counts = Counts()
        "What came, went and was dropped."
        self.limits = limits
        self.to = to
        "Where `send` and `request` go when they are not told."
        self._remote = address
        self._loop = asyncio.get_running_loop()
        self._sockets: list[DatagramSocket] = []
        self._guard: Guard | None = None
        self._answers = None if answer is None else Answers(answer, self.counts.drop, limits.datagram_answers)
        self.asked: dict[Place, asyncio.Future[bytes]] = {}  # requests that wait for the next datagram from there
        self._unread: deque[tuple[bytes, Place]] = deque()
        self._unread_size = 0
        self._reader: asyncio.Future[None] | None = None
        self.longest = limits.datagram
        "Bytes. Longest message that is sent and taken."

    async def send(self, message: bytes, to: Place | str | None = None) -> None:
        """Send one datagram: to a sender, to "udp://host:port", or to whom this endpoint was made for.

        Waits while the kernel's buffer is full, and with a key until the other side is verified. That it was sent
        does not say that it arrived. Raises LimitExceeded, DialFailed and LinkClosed.
        """
        if len(message) > self.longest:
            raise LimitExceeded("the datagram's size", got=len(message), limit=self.longest)
        place = await self._place(to)
        datagram = message
        if self._guard is not None:
            await self._guard.ready()
            datagram = self._guard.seal(message, place)
        try:
            await self._socket_for(place).send(datagram, place)
        except ConnectionRefusedError:
            # What is reported is the fate of an earlier datagram, and this one was not sent because of it.
            self.counts.drop("unreachable")
            await self._again(datagram, place)
        except OSError as error:
            raise _cannot_send(error, place, len(message)) from error
        self.counts.sent += 1

    async def request(
        self, message: bytes, to: Place | str | None = None, *, timeout: float = 5.0, tries: int = 1
    ) -> bytes:
        """Send, and wait for the next datagram that comes from there. One at a time for each place; others wait.

        Datagrams get lost: with `tries` it is sent again when a part of the timeout (seconds) has passed without an
        answer, so ask only what may be asked twice. Raises DeadlineExceeded, and DialFailed when nobody listens there.
        """
        if tries < 1:
            raise ConfigError("tries", f"is {tries}; it must be 1 at least")
        place = await self._place(to)
        if to is None and not self._sockets[0].connected:
            raise ConfigError("to", "is a group, whose members answer from places of their own: send, then receive")
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(message, place, timeout / tries)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer from {shown(place)} within {timeout:g} s") from None

    async def receive(self) -> tuple[bytes, Place]:
        """The next message and its sender. For endpoints without `answer`. Raises LinkClosed at the end."""
        while not self._unread:
            if self._answers is not None:
                raise ConfigError("answer", "takes all that comes; make an endpoint without it to receive")
            if not self.is_open:
                raise LinkClosed("this endpoint is closed")
            if self._reader is None:
                self._reader = self._loop.create_future()
            await asyncio.shield(self._reader)
        message, sender = self._unread.popleft()
        self._unread_size -= len(message) + _KEEPING
        return message, sender

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[bytes, Place]:
        try:
            return await self.receive()
        except LinkClosed:
            raise StopAsyncIteration from None

    @property
    def address(self) -> str:
        """Where it receives, as text: "udp://127.0.0.1:8888"."""
        return self._address

    @property
    def is_open(self) -> bool:
        """False once its block was left, or all its sockets are gone."""
        return any(not one.closed for one in self._sockets)

    @property
    def sockets(self) -> list[socket.socket]:
        """One for each IP version: for reading and setting options, never for datagrams."""
        return [one.sock for one in self._sockets]

    def owner(self, sender: Place) -> Any:
        """Whom the key was handed out to that this sender has proven to hold. None for shared keys, and without any."""
        return None if self._guard is None else self._guard.owner(sender)

    def __repr__(self) -> str:
        guard = "" if self._guard is None else f" {self._guard!r}"
        state = self.address if self.is_open else "closed"
        to = "" if self.to is None else f" to {shown(self.to)}"
        return f"<Datagrams {state}{to}{guard} {self.counts!r}>"

    # -- opening and closing -------------------------------------------------------------------------------------

    def open(self, sockets: list[socket.socket], address: Address, guard: Guard | None) -> None:
        """Take over these sockets and begin: for datagram_opening.py, which makes them."""
        self._guard = guard
        if guard is not None:
            self.longest = min(self.limits.datagram, _CARRIED - OVERHEAD)
        size = self.longest + (OVERHEAD if guard is not None else 0)
        for sock in sockets:
            intake = Intake(self, self._answers, guard, size)
            intake.socket = DatagramSocket(sock, intake, size=size, batch=self.limits.datagram_batch)
            self._sockets.append(intake.socket)
        host, port = sockets[0].getsockname()[:2]
        own = host if self._sockets[0].connected else address.host
        self._address = str(structs.replace(address, host=own, port=port))
        if guard is not None:
            guard.start(self._send_now)
        for one in self._sockets:
            one.start()

    async def close(self) -> None:
        """Stop at once. Answers that are being worked on are cancelled; who waits for a message gets the end."""
        if not self.is_open:
            return
        for one in self._sockets:
            one.close()
        if self._guard is not None:
            self._guard.close()
        for answer in self.asked.values():
            if not answer.done():
                answer.set_exception(LinkClosed("this endpoint is closed"))
        self._wake()
        if self._answers is not None:
            await self._answers.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def keep(self, message: bytes, sender: Place) -> None:
        size = len(message) + _KEEPING
        if self._unread_size + size > self.limits.datagram_queue:
            self.counts.drop("unread")
            return
        self._unread.append((message, sender))
        self._unread_size += size
        if self._reader is not None:
            self._wake()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.set_result(None)

    async def _ask(self, message: bytes, place: Place, patience: float) -> bytes:
        """Send it every `patience` seconds until there is an answer."""
        while (other := self.asked.get(place)) is not None:
            await asyncio.wait([other])
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self.asked[place] = answer
        try:
            while True:
                await self.send(message, place)
                await asyncio.wait([answer], timeout=patience)
                if answer.done():
                    return answer.result()
                if self._guard is not None:
                    self._guard.doubt()
        finally:
            self.asked.pop(place)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # looked at: an error that came while we were cancelled is nobody's

    async def _place(self, to: Place | str | None) -> Place:
        if to is None:
            if self.to is None:
                raise ConfigError(
                    "to", "says nothing, and this endpoint was made for no place in particular; say where to"
                )
            return self.to
        if isinstance(to, str):
            family = self._sockets[0].sock.family if len(self._sockets) == 1 else 0
            place = numeric(to, family)
            return await asyncio.to_thread(place_of, to, family) if place is None else place
        return to

    def _socket_for(self, place: Place) -> DatagramSocket:
        if len(self._sockets) > 1 and len(place) != len(self._sockets[0].sock.getsockname()):
            return self._sockets[1]
        return self._sockets[0]

    def _send_now(self, datagram: bytes, to: Place) -> None:
        """For what may as well be lost."""
        try:
            self._socket_for(to).sendto(datagram, to)
        except OSError:
            self.counts.drop("unreachable")

    async def _again(self, datagram: bytes, place: Place) -> None:
        try:
            await self._socket_for(place).send(datagram, place)
        except OSError as error:
            raise _cannot_send(error, place, len(datagram)) from error

    def unreachable(self) -> None:
        """Nobody listens where this goes. Not believed with a key, since anybody can say so."""
        self.counts.drop("unreachable")
        answer = self.asked.get(self.to) if self.to is not None else None
        if answer is not None and not answer.done() and self._guard is None:
            answer.set_exception(DialFailed(str(self._remote), "nobody listens on that port"))


def _cannot_send(error: OSError, place: Place, size: int) -> Exception:
    if error.errno == errno.EMSGSIZE:
        return LimitExceeded("the datagram's size", got=size, limit=_CARRIED)
    if error.errno == errno.EACCES:
        return ConfigError("broadcast", f"{shown(place)} is a broadcast address; give broadcast=True")
    return DialFailed(shown(place), error.strerror or str(error))

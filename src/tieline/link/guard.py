"""Between a sealed datagram endpoint and its sockets: the pure halves of wire/, with clock and timer."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from tieline.errors import DialFailed, LinkClosed
from tieline.transports.endpoint import Place
from tieline.wire.keyring import Keyring
from tieline.wire.sealed import Key
from tieline.wire.sealed_client import SealedClient
from tieline.wire.sealed_server import SealedServer


class Guard(Protocol):
    """Opens what comes and seals what goes. `send(datagram, to)` is how it says hello, welcome, ping and pong."""

    def start(self, send: Callable[[bytes, Any], None]) -> None: ...

    def receive(self, datagram: bytes, sender: Place) -> bytes | None: ...

    async def ready(self) -> None:
        """Until something can be sealed. Raises DialFailed."""

    def seal(self, message: bytes, to: Place) -> bytes: ...

    def owner(self, sender: Place) -> Any: ...

    def doubt(self) -> None:
        """An answer stayed out."""

    def close(self) -> None: ...


class ServerGuard:
    """For an endpoint that clients come to."""

    def __init__(self, keys: Keyring, dropped: Callable[[str], None]) -> None:
        self._half = SealedServer(keys, dropped)
        self.seal, self.owner, self.close = self._half.seal, self._half.owner, self._half.close

    def start(self, send: Callable[[bytes, Any], None]) -> None:
        self._send = send

    def receive(self, datagram: bytes, sender: Place) -> bytes | None:
        half = self._half
        message = half.receive(datagram, sender)
        if half.out:
            self._send(half.out.pop(), sender)
        return message

    async def ready(self) -> None:
        return

    def doubt(self) -> None:
        return

    def __repr__(self) -> str:
        return repr(self._half)


class ClientGuard:
    """For an endpoint that goes to one server, at `place`."""

    def __init__(
        self, key: Key, place: Place, address: str, dropped: Callable[[str], None], *, patience: float, silence: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._half = SealedClient(key, dropped, silence=silence)
        self._place = place
        self._address = address
        self._patience = patience
        self._verified: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, send: Callable[[bytes, Any], None]) -> None:
        self._send = send
        self._half.start(self._loop.time())
        self._after()

    def receive(self, datagram: bytes, sender: Place) -> bytes | None:
        message = self._half.receive(datagram, self._loop.time())
        if self._half.out:
            self._after()
        return message

    async def ready(self) -> None:
        if not self._half.verified:
            try:
                async with asyncio.timeout(self._patience):
                    await asyncio.shield(self._verified)
            except TimeoutError:
                reason = f"nobody there has proven within {self._patience:g} s to hold the key"
                raise DialFailed(self._address, reason) from None

    def seal(self, message: bytes, to: Place) -> bytes:
        return self._half.seal(message)

    def owner(self, sender: Place) -> Any:
        return None

    def doubt(self) -> None:
        self._half.doubt(self._loop.time())
        self._arm()

    def close(self) -> None:
        if not self._verified.done():
            self._verified.set_exception(LinkClosed("this endpoint is closed"))
            self._verified.exception()  # looked at: maybe nobody waits
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        # The deadline moves with each datagram heard; the timer follows only when it rings.
        self._half.tick(self._loop.time())
        self._after()

    def _after(self) -> None:
        out = self._half.out
        while out:
            self._send(out.pop(0), self._place)
        if self._half.verified and not self._verified.done():
            self._verified.set_result(None)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._half.deadline()
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    def __repr__(self) -> str:
        return repr(self._half)

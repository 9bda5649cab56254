"""Where one server listens: opened one by one, with the same routes behind each, named for people, closed together."""

import asyncio
import socket
import ssl
from collections.abc import Callable

import msgspec

from tieline.errors import ConfigError
from tieline.limits import DEFAULT, Limits
from tieline.link.listener import Listener, listen
from tieline.link.opening import Routes
from tieline.transports.address import Address


class Ports:
    """`context()` gives a TLS context of the server's certificate, for every listener its own."""

    def __init__(
        self,
        routes: Routes,
        context: Callable[[], ssl.SSLContext],
        *,
        limits: Limits = DEFAULT,
        allow_plain: bool = False,
    ) -> None:
        self.listeners: list[Listener] = []
        self._routes = routes
        self._context = context
        self._limits = limits
        self._allow_plain = allow_plain

    async def open(self, address: Address) -> list[str]:
        """Listen there too; returns the addresses as they came out, port 0 replaced. Raises AddressError."""
        listener = Listener(
            await listen(address),
            self._routes,
            tls=None if address.scheme == "unix" else self._context(),
            limits=self._limits,
            allow_plain=self._allow_plain,
        )
        self.listeners.append(listener)
        listener.start()
        return [str(where) for where in listener.addresses]

    def reachable(self) -> str:
        """Host and port for tickets: this machine's name, and the first port there is. Raises ConfigError without."""
        for listener in self.listeners:
            for where in listener.addresses:
                if where.scheme != "unix":
                    return msgspec.structs.replace(where, host=where.host or socket.gethostname()).where
        raise ConfigError(
            "listen", "this server listens on no network address, so a ticket would lead nowhere; give it a port"
        )

    async def close(self) -> None:
        """No new callers. Fine to call twice."""
        await asyncio.gather(*(listener.close() for listener in self.listeners))

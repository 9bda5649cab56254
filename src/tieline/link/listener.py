"""The accept loop: takes callers in, within limits, and gives each an `Opening`. Survives running out of descriptors.

It owns the listening sockets and the openings; connections whose opening is done belong to whoever serves them.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from tieline.errors import AddressError
from tieline.limits import DEFAULT, Limits
from tieline.link.accepted import AcceptedSocket
from tieline.link.opening import House, Opening, Routes
from tieline.transports.address import Address
from tieline.transports.endpoint import host_of, is_loopback
from tieline.transports.sockets import listen_tcp
from tieline.transports.unix import SocketFile, listen_unix

log = logging.getLogger("tieline.listener")

PAUSE = 0.2
"Seconds without accepting after the system had no descriptor (or memory) for a caller."
_SILENCE = 60.0
"Seconds between two warnings about that."


async def listen(address: Address) -> list[socket.socket]:
    """Listening sockets for `address`, for a Listener. Raises AddressError, whose sentence says what to do."""
    if address.scheme == "unix":
        return [listen_unix(address.path)]
    if address.scheme not in ("tcp", "tls"):
        raise AddressError(str(address), "listen on host:port or unix:/path; every kind of caller is served there")
    return await asyncio.to_thread(listen_tcp, address.host, address.port)  # a name is looked up


class Listener:
    """Serves callers on `sockets`, which it closes. `start()` and `close()` are called on the loop."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        routes: Routes,
        *,
        tls: ssl.SSLContext | None,
        limits: Limits = DEFAULT,
        allow_plain: bool = False,
        opening: type[Opening] = Opening,
    ) -> None:
        self.addresses = [_address_of(sock) for sock in sockets]
        "Where it listens, port 0 replaced; an empty host is every address."
        self.links = 0
        "Connections that are open, logged in or not."
        self.refused = 0
        "Callers turned away because of a limit on connections."
        self._sockets = list(sockets)
        self._files = [SocketFile.of(sock) for sock in sockets if sock.family == socket.AF_UNIX]
        self._limits = limits
        self._house = House(routes, tls, limits, allow_plain, self._opening_done, self._opening_gone)
        self._opening = opening
        self._openings: dict[Opening, None] = {}  # oldest first
        self._by_host: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop
        self._spare: int | None = None
        self._paused: asyncio.TimerHandle | None = None
        self._warned = -_SILENCE

    @property
    def openings(self) -> int:
        """Connections of which it is not known yet who is calling."""
        return len(self._openings)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._resume()

    async def close(self) -> None:
        """Stop listening and end every opening; connections that are past it stay."""
        self._stop_accepting()
        if self._paused is not None:
            self._paused.cancel()
        for file in self._files:
            file.remove()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        self._close_spare()
        openings = list(self._openings)
        for opening in openings:
            opening.drop()
        await asyncio.gather(*(opening.task for opening in openings if opening.task), return_exceptions=True)

    def __repr__(self) -> str:
        where = ", ".join(map(str, self.addresses))
        return f"<Listener {where} {self.links} links, {self.openings} of them opening>"

    # -- accepting -----------------------------------------------------------------------------------------------

    def _accept(self, server: socket.socket) -> None:
        for _ in range(self._limits.accept_batch):
            try:
                accepted, peer = server.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # gone while it waited
            except OSError as error:
                self._cannot_accept(server, error)
                return
            self._welcome(AcceptedSocket(accepted), peer)

    def _welcome(self, sock: AcceptedSocket, peer: object) -> None:
        host = host_of(peer)
        if self.links >= self._limits.links or self._by_host[host] >= self._limits.links_per_address:
            self.refused += 1
            sock.close()
            return
        if len(self._openings) >= self._limits.openings:
            next(iter(self._openings)).drop()
        opening = self._opening(sock, host, not host or is_loopback(host), self._house)
        self.links += 1
        if host:
            self._by_host[host] += 1
        self._openings[opening] = None
        opening.begin()

    def _opening_done(self, opening: Opening) -> None:
        self._openings.pop(opening, None)

    def _opening_gone(self, opening: Opening) -> None:
        self.links -= 1
        if opening.host:
            self._by_host[opening.host] -= 1
            if not self._by_host[opening.host]:
                del self._by_host[opening.host]

    # -- out of descriptors --------------------------------------------------------------------------------------

    def _cannot_accept(self, server: socket.socket, error: OSError) -> None:
        """Stop for a moment: the caller still waits, so the loop would wake us for it again and again."""
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._turn_one_away(server)
        if self._loop.time() - self._warned >= _SILENCE:
            self._warned = self._loop.time()
            log.warning("cannot take in new callers (%s); trying again every %g s", error.strerror, PAUSE)
        self._stop_accepting()
        if self._paused is not None:
            self._paused.cancel()
        self._paused = self._loop.call_later(PAUSE, self._resume)

    def _turn_one_away(self, server: socket.socket) -> None:
        """With the spare descriptor: a caller who is closed knows where it is, one who is not served waits for ever."""
        self._close_spare()
        with suppress(OSError):
            server.accept()[0].close()
            self.refused += 1
        self._open_spare()

    def _resume(self) -> None:
        self._paused = None
        self._open_spare()
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def _stop_accepting(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)

    def _open_spare(self) -> None:
        if self._spare is None:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _close_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def _address_of(sock: socket.socket) -> Address:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return Address(scheme="unix", port=0, path=name)
    return Address(host="" if name[0] in ("::", "0.0.0.0") else name[0], port=name[1])

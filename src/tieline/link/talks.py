"""Listening with any codec: one talk for each caller, many at a time, all owned here and closed on leaving.

async with tieline.listen("tcp://127.0.0.1:8888", talk, codec=tieline.Lines()) as listener: ...
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tieline.errors import LimitExceeded, LinkError
from tieline.limits import DEFAULT, Limits
from tieline.link import options
from tieline.link.expected import Expected
from tieline.link.link import Link, checked_codec
from tieline.link.listener import Listener
from tieline.link.opening import Opening, Routes
from tieline.link.proof import Proof, demand
from tieline.transports import memory
from tieline.transports.address import Address
from tieline.transports.sockets import BACKLOG, KeepAlive, SocketOptions, listen_tcp
from tieline.transports.stream import Stream
from tieline.transports.unix import listen_unix
from tieline.wire.codecs import Codec, Raw

if TYPE_CHECKING:
    from tieline.transports.certificate import ServerCertificate

log = logging.getLogger("tieline.talks")

Talk = Callable[[Link], Awaitable[Any]]
_MISTAKES = (AttributeError, NameError, TypeError)
"What a codec raises that is written wrong; ValueError and its like are what it raises at bytes that are none of its."


@asynccontextmanager
async def listen(
    address: str,
    talk: Talk,
    *,
    codec: Codec | None = None,
    tls: "ssl.SSLContext | ServerCertificate | str | Path | None" = None,
    challenge: Proof | None = None,
    limits: Limits = DEFAULT,
    mode: int = 0o600,
    backlog: int = BACKLOG,
    reuse_address: bool = True,
    reuse_port: bool = False,
    no_delay: bool = True,
    keep_alive: bool | KeepAlive = True,
    send_buffer: int | None = None,
    receive_buffer: int | None = None,
) -> "AsyncIterator[Talks]":
    """Run `talk(link)` once for each caller of `address`: tcp://, tls://, unix:/path or memory:name.

    A talk that returns or raises ends its caller's link and nobody else's. What the codec cannot read is raised in the
    talk, as ProtocolError, and need not be caught: that ends the link too. Leaving stops listening, cancels the talks
    that still run and closes their links. Raises AddressError and ConfigError.

    `tls` is a PEM file with certificate and key or an ssl.SSLContext; without it `tls://` makes a certificate, whose
    pin is in `listener.address`. `challenge` keeps out who does not hold its key. `mode` says who may connect to a
    Unix socket. The other options are the socket's; buffers in bytes, None leaves them to the kernel.
    """
    options.function("talk", talk)
    options.proof(challenge)
    talks = Talks(talk, checked_codec(Raw() if codec is None else codec), challenge, limits, no_delay)
    if address.startswith("memory:"):
        talks._listen_in_memory(address.removeprefix("memory:"))
    else:
        options.whole("backlog", backlog)
        options.whole("mode", mode, 0, 0o777)
        settings = options.socket_options(no_delay, keep_alive, send_buffer, receive_buffer)
        reuse = options.flag("reuse_address", reuse_address), options.flag("reuse_port", reuse_port)
        where = options.stream_address(address)
        context, pin = await asyncio.to_thread(options.server_tls, where, tls)
        sockets = await asyncio.to_thread(_sockets, where, mode, backlog, reuse, settings)
        talks._listen_on(sockets, context, pin)
    try:
        yield talks
    finally:
        await talks._close()


def _sockets(
    where: Address, mode: int, backlog: int, reuse: tuple[bool, bool], settings: SocketOptions
) -> list[socket.socket]:
    if where.scheme == "unix":
        return [listen_unix(where.path, mode=mode, backlog=backlog, options=settings)]
    return listen_tcp(
        where.host, where.port, backlog=backlog, reuse_address=reuse[0], reuse_port=reuse[1], options=settings
    )


class Talks:
    """What `tieline.listen` gives: where it listens, and who is talking."""

    def __init__(self, talk: Talk, codec: Codec, challenge: Proof | None, limits: Limits, no_delay: bool) -> None:
        self.addresses: list[str] = []
        "Where it can be dialled, port 0 replaced; several when a name has several addresses."
        self.links: set[Link] = set()
        "The callers of the moment, verified ones only where there is a challenge."
        self._talk = talk
        self._codec = codec
        self._challenge = challenge
        self._limits = limits
        self._no_delay = no_delay
        self._listener: Listener | None = None
        self._memory_name: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Link] = set()  # also those whose talk is over and whose last words are on their way

    @property
    def address(self) -> str:
        """The first of `addresses`."""
        return self.addresses[0]

    @property
    def port(self) -> int:
        """The port, for programs that want it alone; 0 where there is none."""
        return self._listener.addresses[0].port if self._listener is not None else 0

    @property
    def refused(self) -> int:
        """Callers turned away because of a limit on connections."""
        return self._listener.refused if self._listener is not None else 0

    def __repr__(self) -> str:
        return f"<Talks {', '.join(self.addresses)} {len(self.links)} links>"

    # -- beginning and end ---------------------------------------------------------------------------------------

    def _listen_on(self, sockets: list[socket.socket], context: ssl.SSLContext | None, pin: str) -> None:
        routes = Routes(native=self._welcome, http=self._welcome, lines=self._welcome)
        self._listener = Listener(sockets, routes, tls=context, limits=self._limits, allow_plain=True, opening=Expected)
        for address in self._listener.addresses:
            scheme = "tls" if context is not None else address.scheme
            self.addresses.append(str(msgspec.structs.replace(address, scheme=scheme, pin=pin)))
        self._listener.start()

    def _listen_in_memory(self, name: str) -> None:
        memory.listen(name, lambda: self._link(None))
        self._memory_name = name
        self.addresses.append(f"memory:{name}")

    async def _close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
        if self._memory_name is not None:
            memory.unlisten(self._memory_name)
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.gather(*(_closed(link) for link in self._open))

    # -- one caller ----------------------------------------------------------------------------------------------

    def _welcome(self, opening: Opening) -> asyncio.BaseProtocol:
        return Stream(self._link(opening), limits=self._limits)

    def _link(self, opening: Opening | None) -> Link:
        link = Link(self._codec, self._limits)
        link.on_open = lambda: self._begin(link, opening)
        return link

    def _begin(self, link: Link, opening: Opening | None) -> None:
        if not self._no_delay:
            link.set_no_delay(False)
        self._open.add(link)
        link.on_gone(self._open.discard)
        task = asyncio.get_running_loop().create_task(self._serve(link, opening))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: Link, opening: Opening | None) -> None:
        try:
            if self._challenge is not None and not await demand(link, self._challenge):
                log.info("%r did not prove the key", link)
                link.abort("the key was not proven")
                return
            if opening is not None:
                opening.done()
            self.links.add(link)
            await self._talk(link)
        except (LinkError, LimitExceeded) as error:
            # A caller who vanishes or sends nonsense is everyday life; a codec that is written wrong is not.
            if isinstance(error.__cause__, _MISTAKES):
                log.error("the codec of %r failed", link, exc_info=error.__cause__)
            else:
                log.info("%r ended: %s", link, error)
        except Exception:  # the talk is the user's, and ends with its own link only
            log.exception("the talk with %r failed", link)
        finally:
            self.links.discard(link)
            link.close()


async def _closed(link: Link) -> None:
    """On leaving: the last words are waited for, as long as the link's own deadline allows."""
    link.close()
    await link.wait_closed()

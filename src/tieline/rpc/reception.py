"""From a fresh stream to a logged-in peer: every caller passes here, whichever door it came by."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from tieline.errors import LinkError, LoginError
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.login.exchange import ServerSteps, Turns, admit
from tieline.login.identity import Identity
from tieline.rpc.handlers import Handlers
from tieline.rpc.links import Links
from tieline.rpc.peer import Peer
from tieline.rpc.work import Onward
from tieline.transports import memory
from tieline.transports.endpoint import Endpoint
from tieline.transports.stream import Stream
from tieline.version import AGENT
from tieline.wire.moves import Side

log = logging.getLogger("tieline.login")


class Opening(Protocol):
    """What is needed of a connection that has not logged in yet; the listener cuts it when it takes too long."""

    def done(self) -> None: ...


class Reception:
    """`begin` makes the login steps for a caller of whom only the endpoint is known."""

    def __init__(
        self,
        limits: Limits,
        handlers: Handlers,
        links: Links,
        begin: Callable[[Endpoint], ServerSteps],
        *,
        name: str,
        binding: bytes | None,
        onward: Onward | None = None,
    ) -> None:
        self._limits = limits
        self._handlers = handlers
        self._links = links
        self._begin = begin
        self._name = name
        self._binding = binding
        self._onward = onward
        self._arriving: set[asyncio.Task[None]] = set()

    def native(self, opening: Opening) -> Stream:
        """The protocol for a connection that speaks `tieline/1`."""
        turns = Turns()
        link = FrameLink(Side.SERVER, self._limits, turns)
        task = asyncio.get_running_loop().create_task(self._receive(link, turns, opening))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
        return Stream(link, limits=self._limits, binding=self._binding)

    def door(self, identity: Identity, handlers: Handlers | None = None) -> Peer:
        """The client's end of a link within this process, logged in as `identity`: what a door speaks through."""
        turns = Turns()
        near = FrameLink(Side.CLIENT, self._limits, turns)
        far = FrameLink(Side.SERVER, self._limits, turns)
        memory.pair(near, far, limits=self._limits)
        near.session.skip_login()
        far.session.skip_login()
        self._seat(far, identity)
        peer = Peer(self._limits, handlers if handlers is not None else Handlers(), identity)
        peer.use(near)
        return peer

    async def close(self) -> None:
        """Stop whoever is still logging in."""
        for task in list(self._arriving):
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)

    async def _receive(self, link: FrameLink, turns: Turns, opening: Opening) -> None:
        try:
            identity = await admit(link, turns, self._begin, agent=AGENT, name=self._name, limits=self._limits)
        except LoginError as error:
            log.warning("login from %s refused: %s", link.stream.info.remote, error)
            return
        except LinkError as error:
            log.debug("a caller left before logging in: %s", error)
            return
        except Exception:  # a fault of ours ends this login and no other, and is logged
            log.exception("the login of %s failed", link.stream.info.remote)
            link.close("the login failed at the server; its log says why", code="internal")
            return
        opening.done()
        log.info("%s logged in from %s", identity, link.stream.info.remote)
        self._seat(link, identity).events(turns.rest())

    def _seat(self, link: FrameLink, identity: Identity) -> Peer:
        peer = Peer(self._limits, self._handlers, identity)
        peer.onward = self._onward
        peer.use(link)
        self._links.join(peer)
        return peer

"""The lines door: whoever has nc, telnet or `openssl s_client` logs in by typing, and chats.

A visitor becomes a peer of this server like any other caller, by `admit`, and can do what that peer may, no more.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from tieline.doors.conversation import Conversation
from tieline.doors.sign_in import Admit, SignIn
from tieline.doors.visitor import Visitor
from tieline.limits import DEFAULT, Limits
from tieline.login.strangers import GREETED
from tieline.rpc.peer import Peer
from tieline.transports.stream import Stream

log = logging.getLogger("tieline.lines")

LAST_WORDS = 2.0
"Seconds. What a visitor who is too slow to log in is left, after ours, to read why."


class Opening(Protocol):
    """What is needed of a connection that has not logged in yet; the listener cuts it when it takes too long."""

    def done(self) -> None: ...

    def allow(self, seconds: float) -> None: ...


class LinesDoor:
    """One for a server. `protocol` is what the listener's routes want; `name` is what the server calls itself."""

    def __init__(self, admit: Admit, *, name: str = "tieline", guests: bool = False, limits: Limits = DEFAULT) -> None:
        self._admit = admit
        self._greeting = f"{name}: {GREETED}. Log in to chat; /quit leaves."
        self._guests = guests
        self._limits = limits
        self._visits: dict[asyncio.Task[None], Visitor] = {}

    def protocol(self, opening: Opening) -> Stream:
        """A fresh stream for one connection."""

        def begin(visitor: Visitor) -> asyncio.Task[None]:
            opening.allow(self._limits.person_login + LAST_WORDS)
            task = asyncio.get_running_loop().create_task(self._visit(visitor, opening))
            self._visits[task] = visitor
            task.add_done_callback(self._visits.pop)
            return task

        return Stream(Visitor(self._limits, begin), limits=self._limits)

    async def close(self, reason: str = "the server is closing") -> None:
        """Send everybody away; at most a second or so."""
        for task, visitor in list(self._visits.items()):
            visitor.part(f"* {reason}")
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*self._visits, return_exceptions=True)

    def __len__(self) -> int:
        """Visitors who are here, logged in or not."""
        return len(self._visits)

    async def _visit(self, visitor: Visitor, opening: Opening) -> None:
        try:
            peer = await self._sign_in(visitor)
            if peer is not None:
                opening.done()
                visitor.trust()
                log.info("%s logged in from %s", peer.identity, visitor.stream.info.remote)
                await self._talk(visitor, peer)
        except Exception:  # a fault of ours is logged and told, and ends this visit only
            self._failed(visitor)

    async def _sign_in(self, visitor: Visitor) -> Peer | None:
        try:
            async with asyncio.timeout(self._limits.person_login):
                return await SignIn(visitor, self._admit, guests=self._guests).run(self._greeting)
        except TimeoutError:
            visitor.part("", f"Nobody logged in within {self._limits.person_login:.0f} seconds. Goodbye.")
            return None

    async def _talk(self, visitor: Visitor, peer: Peer) -> None:
        talk = asyncio.current_task()

        def lost(peer: Peer) -> None:
            """The server ended this peer: it is closing, or access was revoked."""
            if not visitor.parted and talk is not None:
                visitor.part(f"* {peer.goodbye or 'the server ended this conversation'}")
                talk.cancel()

        peer.on_end(lost)
        try:
            await Conversation(visitor, peer).run()
            visitor.leave()
        except Exception:  # a fault of ours is logged and told, and ends this visit only
            self._failed(visitor)
        finally:
            await peer.close("the visitor left")

    def _failed(self, visitor: Visitor) -> None:
        log.exception("a conversation with %s failed", visitor.stream.info.remote)
        visitor.part("* something went wrong here; the server's log says what")

"""Who is here: every peer logged in at this server, by account. One place to count, list and cut them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

from tieline.rpc.peer import Peer

HANGING_UP = 1.0
"Seconds a peer has to read the last that was sent and hang up, and then again for the system to close the link."


class Links:
    """Peers join when logged in and leave by themselves when their link ends."""

    def __init__(self) -> None:
        self._peers: dict[Peer, float] = {}  # and since when
        self._empty = asyncio.Event()
        self._empty.set()

    def join(self, peer: Peer) -> None:
        self._peers[peer] = time.monotonic()
        self._empty.clear()
        peer.on_end(self._leave)

    def cut(self, account: str, device: str | None = None, reason: str = "access was revoked") -> int:
        """End every link of an account, or of one of its devices. Returns how many there were."""
        count = 0
        for peer in list(self._peers):
            if peer.identity.account == account and device in (None, peer.identity.device) and peer.link is not None:
                peer.cut(reason)
                count += 1
        return count

    def accounts(self) -> list[str]:
        """Accounts that are here now, each once, sorted."""
        return sorted({peer.identity.account for peer in self._peers})

    def age(self, peer: Peer) -> float:
        """Seconds since it joined; 0 when it is not here."""
        now = time.monotonic()
        return now - self._peers.get(peer, now)

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._peers))

    def __len__(self) -> int:
        return len(self._peers)

    def _leave(self, peer: Peer) -> None:
        self._peers.pop(peer, None)
        if not self._peers:
            self._empty.set()

    async def drain(self, reason: str, seconds: float) -> None:
        """No new calls; wait for the open ones, at most so long; then end every link."""
        for peer in self:
            peer.refuse_calls(reason)
        running = [work for peer in self for work in peer.running]
        if running:
            await asyncio.wait(running, timeout=seconds)
        await self._left()  # peers that know tieline hang up when they have read everything
        for peer in self:
            if peer.link is not None:
                peer.link.close(reason)
        await self._left()
        for peer in self:
            if peer.link is not None:
                peer.link.stream.abort()
        await self._empty.wait()

    async def _left(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HANGING_UP):
                await self._empty.wait()

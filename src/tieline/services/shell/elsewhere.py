"""Rules and audit of a machine that joined a server: the server knows the one and keeps the other.

A rule that cannot be had lets nobody run anything. What cannot be told to the server waits, within a bound.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Any

from tieline.errors import TielineError, Unavailable
from tieline.rpc.peer import Peer
from tieline.store.shell import Begun, Rule

log = logging.getLogger("tieline.shell")
GOOD = 2.0
"Seconds a rule is taken to be what it was. The server checks the machine anew for every call; this is for programs."
PATIENCE = 10.0
"Seconds the server has to tell a rule."
WAITING = 10_000
"Entries that wait for a server that is away; the oldest are then only logged here."


class ServerRules:
    """`peer` is the link, or client, to the server."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._known: dict[str, tuple[float, Rule]] = {}
        self._revision = 0

    async def rule(self, account: str) -> Rule:
        """Raises Unavailable when the server cannot be asked."""
        asked, known = self._known.get(account, (0.0, Rule()))
        if asked and time.monotonic() - asked < GOOD:
            return known
        while True:
            revision = self._revision
            try:
                rule = await self._peer.call("shell.rule", timeout=PATIENCE, account=account, returns=Rule)
            except TielineError as error:
                raise Unavailable(f"the server could not be asked what {account} may run here: {error}") from error
            if revision == self._revision:
                break  # else the answer may be older than what was taken back meanwhile
        if len(self._known) > 1000:
            self._known.clear()
        self._known[account] = time.monotonic(), rule
        return rule

    def forget(self, account: str) -> None:
        self._known.pop(account, None)
        self._revision += 1


class ServerAudit:
    """Tells the server in order; `close()` when nothing more will come."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._entries: deque[tuple[str, dict[str, Any]]] = deque()
        self._telling: asyncio.Task[None] | None = None

    def begun(self, begun: Begun) -> None:
        self._tell("audit.begun", entry=begun)

    def ended(self, id: str, at: int, outcome: str, out: int) -> None:
        self._tell("audit.ended", id=id, at=at, outcome=outcome, out=out)

    async def close(self) -> None:
        """What was not told by now is logged here only."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        for method, params in self._entries:
            log.warning("the server was not told: %s %s", method, params)

    def _tell(self, method: str, **params: Any) -> None:
        if len(self._entries) >= WAITING:
            log.warning("the server was not told: %s %s", *self._entries.popleft())
        self._entries.append((method, params))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._entries:
            method, params = self._entries[0]
            try:
                await self._peer.call(method, retry=True, **params)
            except TielineError as error:
                log.warning("the server did not take what it was told (%s): %s %s", error, method, params)
            if self._entries and self._entries[0][1] is params:
                self._entries.popleft()

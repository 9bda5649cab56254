"""How far a person has read a room, noted at the server: soon after it was shown, and when they leave."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tieline.errors import TielineError
from tieline.login.names import GUEST

if TYPE_CHECKING:
    from tieline.client import Client

PAUSE = 1.0
"Seconds whose messages become one note."


class ReadMarker:
    """Of one room. A note that fails is tried again with the next one; until then messages show as unread: no harm."""

    def __init__(self, client: "Client", room: str) -> None:
        self._client = client
        self._room = room
        self._seen = 0
        self._noted = 0
        self._noting: asyncio.Task[None] | None = None

    def saw(self, position: int) -> None:
        """Everything up to there is on the screen."""
        if position < self._seen:  # the server lost what was seen of it: an older backup came back
            self._noted = 0
        self._seen = position
        # A guest is somebody else the next time.
        if self._noting is None and self._seen > self._noted and not self._client.identity.account.startswith(GUEST):
            self._noting = asyncio.create_task(self._note_soon())

    async def close(self) -> None:
        """Note what is not noted yet. Takes a second at most."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
            if self._seen > self._noted and self._client.is_open:
                await self._note()

    async def _note_soon(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            await self._note()
            if self._seen <= self._noted:
                self._noting = None
                return

    async def _note(self) -> None:
        seen = self._seen
        with suppress(TielineError):
            await self._client.call("chat.read", timeout=1.0, room=self._room, position=seen)
            self._noted = seen

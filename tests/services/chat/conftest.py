"""Short ways to speak and to listen."""

import asyncio
from typing import Any

from tieline.rpc.peer import Peer
from tieline.wire.messages import Event


async def say(peer: Peer, *texts: str, room: str = "lobby") -> list[int]:
    posts = [peer.call("chat.post", room=room, text=text, id=f"{room} {text}"[:64]) for text in texts]
    return [posted["position"] for posted in await asyncio.gather(*posts)]


async def hear(events: Any, count: int) -> list[Event]:
    """The next events; a test that waits for one that never comes fails by itself."""
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def silence(peer: Peer, events: Any) -> bool:
    """Nothing more comes: whatever was on its way is before the answer to a call made now."""
    waiting = asyncio.ensure_future(anext(events))
    for _ in range(3):
        await peer.call("echo.say", value=None)
    quiet = not waiting.done()
    waiting.cancel()
    return quiet

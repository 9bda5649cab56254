"""Messages on their way to the server: many at once, each with an id of its own, answered in their order."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from tieline.message_ids import message_id

from .output import note

if TYPE_CHECKING:
    from tieline.client import Client

Post = asyncio.Task[dict[str, Any]]
Posts = asyncio.Queue[Post | None]

IN_FLIGHT = 512
"Posts on their way at once: enough to fill a commit, fewer than a peer may have open (limits.calls)."


async def in_order(
    client: "Client", room: str, lines: AsyncIterator[str], timeout: float
) -> AsyncIterator[dict[str, Any]]:
    """Post the lines, many in flight, and yield what became of each in their order. Stops at the first that failed."""
    posts: Posts = asyncio.Queue()
    window = asyncio.Semaphore(IN_FLIGHT)

    async def read() -> None:
        async for line in lines:
            await window.acquire()
            posts.put_nowait(asyncio.create_task(post(client, room, line, timeout)))

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: posts.put_nowait(None))
    stored = 0
    try:
        while (next_post := await posts.get()) is not None:
            yield await _result(next_post, stored)
            stored += 1
            window.release()
        await reading
    finally:
        await _stop(reading, posts)


async def _result(post: Post, stored: int) -> dict[str, Any]:
    try:
        return await post
    except Exception:  # whatever it was is raised on: this only says how far we came
        if stored:
            note(f"{stored} lines are stored, the next one is not; what became of those after it is not certain")
        raise


async def _stop(reading: "asyncio.Task[None]", posts: Posts) -> None:
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    late = [post for post in (posts.get_nowait() for _ in range(posts.qsize())) if post is not None]
    for post in late:
        post.cancel()
    await asyncio.gather(*late, return_exceptions=True)


async def post(client: "Client", room: str, text: str, timeout: float) -> dict[str, Any]:
    """One message, with an id of its own: sent again after a lost link, it is still one message."""
    id = message_id()
    answer: dict[str, Any] = await client.call("chat.post", timeout=timeout, retry=True, room=room, text=text, id=id)
    return {**answer, "id": id}

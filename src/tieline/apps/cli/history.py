"""A room's past, read in pages."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tieline.client import Client

PAGE = 500
"Messages asked for at once; the server may give fewer."

Message = dict[str, Any]


async def latest(client: "Client", room: str, count: int, timeout: float) -> list[Message]:
    """The last `count` messages, oldest first; fewer when the room has no more."""
    pages: list[list[Message]] = []
    found, before = 0, None
    while found < count:
        page = await client.call(
            "chat.history",
            timeout=timeout,
            retry=True,
            room=room,
            before=before,
            limit=min(PAGE, count - found),
        )
        messages = page["messages"]
        pages.append(messages)
        found += len(messages)
        if page["end"] or not messages:
            break
        before = messages[0]["position"]
    return [message for page in reversed(pages) for message in page]

"""A bot: it answers every message that mentions it, once, whatever is restarted in between."""

import asyncio
import sys
from pathlib import Path

import msgspec

import tieline


class Message(msgspec.Struct):
    """What is needed here of a room's messages; they have an `id` and a time `at` (unix milliseconds) as well."""

    by: str
    text: str


async def main(profile: str, room: str, note: Path) -> None:
    async with tieline.connect(profile=profile) as peer:
        me = peer.identity.account
        print(me, "reads", room, flush=True)
        seen = int(note.read_text() or 0) if note.exists() else 0
        async for event in peer.subscribe(f"room/{room}", after=seen, value=Message):
            message: Message = event.value
            if f"@{me}" in message.text and message.by != me:
                text = f"at your service, {message.by}"
                await peer.call("chat.post", room=room, text=text, id=f"to-{event.position}", retry=True)
            note.write_text(str(event.position))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

"""A bot: it answers every message that mentions it, once, whatever is restarted in between."""

import asyncio
import sys

import msgspec

import tieline


class Message(msgspec.Struct):
    """What is needed here of a room's messages; they have an `id` and a time `at` (unix milliseconds) as well."""

    by: str
    text: str


async def main(profile: str, room: str) -> None:
    async with tieline.connect(profile=profile) as peer:
        me = peer.identity.account
        await peer.call("chat.post", room=room, text="ask me anything", id=tieline.message_id(), retry=True)
        print(me, "reads", room, flush=True)
        # The server keeps how far each account has read a room. That never goes back, so 0 only asks where it is.
        read = await peer.call("chat.read", room=room, position=0)
        async for event in peer.subscribe(f"room/{room}", after=read["position"], value=Message):
            message: Message = event.value
            if f"@{me}" in message.text and message.by != me:
                text = f"at your service, {message.by}"
                await peer.call("chat.post", room=room, text=text, id=f"to-{event.position}", retry=True)
            await peer.call("chat.read", room=room, position=event.position, retry=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))

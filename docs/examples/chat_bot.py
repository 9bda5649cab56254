"""A bot that answers whoever mentions it, once, though it, the server or the link end and begin again meanwhile."""

import asyncio
import sys

import tieline


async def main(address: str, room: str = "lobby") -> None:
    async with tieline.connect(address) as peer:
        me = peer.identity.account
        await peer.call("chat.post", room=room, text=f"{me} is here", id=tieline.message_id(), retry=True)
        # The server keeps for each account how far it has read a room. It never goes back, so 0 asks where it is.
        read = await peer.call("chat.read", room=room, position=0)
        async for event in peer.subscribe(f"room/{room}", after=read["position"]):
            message = event.value
            if message["by"] != me and f"@{me}" in message["text"]:
                # The id is made of what is answered: the same answer again is still one message.
                id = f"answer-{event.position}"
                await peer.call("chat.post", room=room, text=f"yes, {message['by']}?", id=id, retry=True)
            await peer.call("chat.read", room=room, position=event.position, retry=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

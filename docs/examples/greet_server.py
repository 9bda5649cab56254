"""A server with two methods and a topic of its own."""

import asyncio
from collections.abc import AsyncIterator

import tieline

server = tieline.Server(data=":memory:", guests=True)
visits = server.topic("visits")


@server.method("greet")
async def greet(name: str, peer: tieline.Peer) -> str:
    visits.publish(f"{peer.identity.account} greeted {name}")
    return f"hello {name}"


@server.method("countdown")
async def countdown(start: int, pause: float = 0.0) -> AsyncIterator[int]:
    for number in range(start, 0, -1):
        yield number
        await asyncio.sleep(pause)


async def main() -> None:
    async with server.serving("tcp://127.0.0.1:7789") as addresses:
        print("serving on", *addresses, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

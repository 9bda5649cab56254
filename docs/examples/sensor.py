"""A machine with a sensor: others read it through the server, and no port is opened here."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator

import tieline

handlers = tieline.Handlers()


@handlers.method("sensor.read", scope="chat")
def read() -> float:
    """One value, in degrees."""
    return round(random.gauss(21.0, 0.5), 2)


@handlers.method("sensor.watch", scope="chat")
async def watch(peer: tieline.Peer, every: float = 1.0) -> AsyncIterator[float]:
    """A value every so many seconds, for as long as somebody reads them."""
    print("watched by", peer.identity, flush=True)
    try:
        while True:
            yield read()
            await asyncio.sleep(every)
    finally:
        print("no longer watched by", peer.identity, flush=True)


async def main(profile: str) -> None:
    async with tieline.connect(profile=profile) as peer:
        print("called", await peer.serve(handlers), flush=True)
        await peer.over()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""Files of a server, from a program: up, down, listed, and read as they come."""

import asyncio
import sys

import tieline


async def main(address: str) -> None:
    async with tieline.connect(address) as peer:
        done = await peer.files.put("results", "/lab/")
        print(done.files, "sent,", done.skipped, "there already")
        for entry in await peer.files.list("/lab/results"):
            print(entry.name, entry.size, entry.digest[:8])
        async with peer.files.open("/lab/results/numbers.txt") as file:
            print(await file.read(4))
        (await peer.files.get("/lab/results", "copy")).check()


asyncio.run(main(sys.argv[1]))

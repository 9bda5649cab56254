"""Each line back in upper case, to any number of callers, with nothing of Tieline's own on the wire."""

import asyncio

import tieline


async def talk(link: tieline.Link) -> None:
    async for line in link:
        await link.send(line.upper())


async def main() -> None:
    async with tieline.listen("tcp://127.0.0.1:7790", talk, codec=tieline.Lines()) as listener:
        print("listening on", listener.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

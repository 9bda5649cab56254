"""The same server, called from asyncio."""

import asyncio

import tieline


async def main() -> None:
    async with tieline.connect("tcp://127.0.0.1:7789") as peer:
        print(await peer.call("greet", name="Ada", timeout=2, returns=str))
        async for number in peer.stream("countdown", start=3):
            print(number)
        async for event in peer.subscribe("visits", after=0):
            print(event.position, event.value)
            break


asyncio.run(main())

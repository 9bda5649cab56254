"""A method that waits, tested without waiting: the clock stands still until it is told to move."""

import asyncio

from tieline import testing


async def boiled(minutes: int) -> str:
    await asyncio.sleep(60 * minutes)
    return "ready"


def test_an_egg_takes_four_minutes() -> None:
    clock = testing.Clock()

    async def story() -> None:
        async with testing.server() as server:
            server.method("egg.boil")(boiled)
            async with testing.connect(server) as ada:
                egg = asyncio.create_task(ada.call("egg.boil", minutes=4))
                await clock.advance(239)
                assert not egg.done()
                await clock.advance(1)
                assert await egg == "ready"

    clock.run(story())

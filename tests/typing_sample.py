"""A user's program, as `mypy --strict` sees it. Not a test: tests/test_user_typing.py checks it, and then runs it."""

import asyncio
from collections.abc import AsyncIterator
from typing import assert_type

import msgspec

import tieline
import tieline.sync
import tieline.testing


class Reading(msgspec.Struct):
    sensor: str
    celsius: float


server = tieline.Server(data=":memory:", guests=True, limits=tieline.Limits(calls=10))


@server.method("greet")
async def greet(name: str, peer: tieline.Peer, times: int = 1) -> str:
    who: str = peer.identity.account
    return f"hello {name}, says {who}" * times


@server.method()
def average(readings: list[Reading]) -> float:
    return sum(reading.celsius for reading in readings) / len(readings)


@server.method("count", scope="chat")
async def count(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


@server.method("sum")
async def total(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])


@server.method("slow", thread=True)
def slow() -> Reading:
    return Reading("a", 20.5)


# A decorator leaves the function as it was.
assert_type(average([Reading("a", 1.0)]), float)

ticks = server.topic("ticks")


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


async def use(peer: tieline.Client) -> None:
    assert_type(await peer.call("greet", name="Ada", timeout=2, returns=str), str)
    assert_type(await peer.call("slow", returns=Reading), Reading)
    assert_type(await peer.call("slow", returns=Reading, retry=True), Reading)
    text: str = await peer.call("greet", name="Ada")  # without `returns` it is what one says it is
    assert text.startswith("hello")
    assert await peer.call("sum", numbers=numbers(), returns=int) == 3
    maybe: float | None = await peer.call("average", readings=[Reading("a", 1.0)], returns=float | None)
    assert maybe == 1.0
    async for number in peer.stream("count", to=3, returns=int):
        assert_type(number, int)
    stream: tieline.Stream[int] = peer.stream("count", to=3, returns=int)
    await stream.aclose()
    position: int = ticks.publish("tick")
    async for event in peer.subscribe("ticks", after=0):
        assert_type(event, tieline.Event)
        assert (event.topic, event.position) == ("ticks", position)
        break
    assert_type(peer.identity, tieline.Identity)
    try:
        await peer.call("nothing")
    except tieline.NotFound as error:
        assert_type(error.message, str)
        assert_type(error.remote, bool)


def use_blocking(address: str) -> None:
    with tieline.sync.connect(address) as peer:
        assert_type(peer.call("slow", returns=Reading), Reading)
        assert peer.call("sum", numbers=iter([1, 2]), timeout=2) == 3
        for number in peer.stream("count", to=3, returns=int):
            assert_type(number, int)
        for event in peer.subscribe("ticks", after=0):
            assert_type(event, tieline.Event)
            break


async def in_memory() -> None:
    async with (
        tieline.testing.server() as other,
        tieline.testing.connect(other, account="ada", scopes={"chat"}) as ada,
    ):
        assert_type(ada, tieline.Peer)
        assert_type(await ada.call("echo.upper", text="a", returns=str), str)


async def main() -> None:
    async with server.serving("tcp://127.0.0.1:0") as addresses:
        assert_type(addresses, list[str])
        async with tieline.connect(addresses[0]) as peer:
            await use(peer)
        await asyncio.to_thread(use_blocking, addresses[0])
    await in_memory()


if __name__ == "__main__":
    asyncio.run(main())

"""A clock that jumps: timers fire in order and at their time, without anybody waiting."""

import asyncio

import pytest

from tieline.testing import Clock


def test_a_long_sleep_is_over_when_the_clock_says_so() -> None:
    clock = Clock()

    async def story() -> None:
        nap = asyncio.create_task(asyncio.sleep(3600))
        await clock.advance(3599)
        assert not nap.done()
        await clock.advance(1)
        assert nap.done()

    clock.run(story())


def test_timers_fire_in_order_and_each_sees_its_own_time() -> None:
    clock = Clock()
    seen: list[tuple[str, float]] = []

    async def every(name: str, seconds: float) -> None:
        for _ in range(3):
            await asyncio.sleep(seconds)
            seen.append((name, asyncio.get_running_loop().time() - 1000))

    async def story() -> None:
        tasks = [asyncio.create_task(every("a", 2)), asyncio.create_task(every("b", 3))]
        await clock.advance(100)
        await asyncio.gather(*tasks)

    clock.run(story())
    assert sorted(seen) == [("a", 2), ("a", 4), ("a", 6), ("b", 3), ("b", 6), ("b", 9)]
    assert seen == sorted(seen, key=lambda entry: entry[1])


def test_a_timeout_goes_by_the_clock() -> None:
    clock = Clock()

    async def story() -> None:
        async def bounded() -> None:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()

        task = asyncio.create_task(bounded())
        await clock.advance(4.9)
        assert not task.done()
        await clock.advance(0.2)
        with pytest.raises(TimeoutError):
            await task

    clock.run(story())


def test_autojump_needs_no_telling() -> None:
    clock = Clock(autojump=0.001)

    async def story() -> float:
        before = clock.now
        await asyncio.sleep(86_400)
        return clock.now - before

    assert clock.run(story()) == pytest.approx(86_400)


def test_settle_lets_everything_happen_that_needs_no_time() -> None:
    clock = Clock()

    async def story() -> None:
        async def steps() -> int:
            for _ in range(50):
                await asyncio.sleep(0)
            return 50

        task = asyncio.create_task(steps())
        before = clock.now
        await clock.settle()
        assert task.done()
        assert clock.now == before

    clock.run(story())


async def test_a_clock_of_another_loop_says_so() -> None:
    with pytest.raises(RuntimeError, match="does not go by the clock"):
        await Clock().advance(1)

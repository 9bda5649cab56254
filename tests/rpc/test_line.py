"""Those who wait for a link go in the order of their turns, one in each turn of the loop."""

import asyncio

import pytest

from tieline.rpc.line import Line


class Door:
    """Who went through, in order."""

    def __init__(self) -> None:
        self.line = Line()
        self.open = False
        self.closes_behind = 0
        self.through: list[int] = []

    async def go(self, turn: int) -> None:
        await self.line.wait(turn, lambda: self.open)
        self.through.append(turn)
        self.open = turn != self.closes_behind

    def send(self, *turns: int) -> "list[asyncio.Task[None]]":
        return [asyncio.create_task(self.go(turn)) for turn in turns]


async def test_whoever_comes_an_earlier_turn_goes_first() -> None:
    door = Door()
    waiting = door.send(5, 3, 4, 1, 2)
    await asyncio.sleep(0)
    door.open = True
    door.line.moved()
    await asyncio.gather(*waiting)
    assert door.through == [1, 2, 3, 4, 5]
    assert not door.line.places


async def test_one_who_comes_while_others_go_through_takes_its_turn() -> None:
    door = Door()
    waiting = door.send(1, 2, 5)
    await asyncio.sleep(0)
    door.open = True
    door.line.moved()
    waiting += door.send(4, 3)
    await asyncio.gather(*waiting)
    assert door.through == [1, 2, 3, 4, 5]


async def test_an_open_door_is_passed_without_waiting() -> None:
    door = Door()
    door.open = True
    await door.go(1)
    assert door.through == [1]


@pytest.mark.parametrize("impatient", [1, 2, 3])
async def test_one_who_gives_up_holds_up_nobody(impatient: int) -> None:
    door = Door()
    waiting = door.send(1, 2, 3)
    await asyncio.sleep(0)
    door.open = True
    door.line.moved()
    waiting[impatient - 1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert door.through == [turn for turn in (1, 2, 3) if turn != impatient]
    assert not door.line.places


async def test_a_door_that_closes_in_between_lets_the_rest_wait_on() -> None:
    door = Door()
    door.closes_behind = 1
    waiting = door.send(1, 2)
    await asyncio.sleep(0)
    door.open = True
    door.line.moved()
    await asyncio.wait(waiting, timeout=0.01)
    assert door.through == [1]
    door.open = True
    door.line.moved()
    await waiting[1]
    assert door.through == [1, 2]

"""Who waits for a link, in the order their calls were made: across a lost link no call overtakes an earlier one."""

import asyncio
from bisect import insort
from collections.abc import Callable


class Line:
    """`wait` lets one at a time through, and the next in the following turn of the loop."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        self.places: list[tuple[int, asyncio.Event]] = []
        "Not empty while anybody waits."

    async def wait(self, turn: int, open: Callable[[], bool]) -> None:
        """Until `open()` is true and nobody with a smaller turn is here; no two have the same. Call `moved()` when
        `open()` may have become true. Cancelling is safe."""
        place = (turn, asyncio.Event())
        insort(self.places, place)
        try:
            while self.places[0] is not place or not open():
                place[1].clear()
                await place[1].wait()
        finally:
            self.places.remove(place)
            self.moved()

    def moved(self) -> None:
        """The first looks again."""
        if self.places:
            self.places[0][1].set()

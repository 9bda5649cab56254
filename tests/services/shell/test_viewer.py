"""Whoever looks at a session gets its bytes once and in order, and is told of every gap."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieline.processes.ring import Ring
from tieline.processes.told import At
from tieline.services.shell import viewer as module
from tieline.services.shell.viewer import Viewer

PIECES = st.lists(st.binary(min_size=1, max_size=300), max_size=25)
ASKED = st.one_of(st.none(), st.integers(0, 4000))


async def follow(pieces: list[bytes], asked: int | None, drives: bool, ring_size: int, steps: list[int]) -> None:
    """A program prints pieces, and between them the viewer takes so many steps."""
    ring, whole = Ring(ring_size), b"".join(pieces)
    for piece in pieces[: len(pieces) // 2]:
        ring.append(piece)
    looking = Viewer(ring, asked, drives=drives, who="ada/laptop")
    at = looking.begin()
    position = at.position
    assert at.skipped == (max(0, at.position - asked) if asked is not None and asked >= 0 else 0)

    async def step() -> bool:
        nonlocal position
        item = await looking.next()
        if item is None:
            return False
        if isinstance(item, At):
            assert item.position - item.skipped == position
            assert not drives or item.position <= ring.end
            position = item.position
        else:
            assert item == whole[position : position + len(item)]
            position += len(item)
        return True

    for number, piece in enumerate(pieces[len(pieces) // 2 :]):
        ring.append(piece)
        for _ in range(steps[number % len(steps)] if steps else 0):
            if position < ring.end:
                await step()
    looking.leave("it is over")
    while await step():
        pass
    assert position == len(whole)
    assert looking.reason == "it is over"


@settings(max_examples=150, deadline=None)
@given(
    PIECES,
    st.one_of(st.none(), st.integers(0, 4000)),
    st.booleans(),
    st.integers(16, 2000),
    st.lists(st.integers(0, 3)),
)
def test_nothing_is_lost_or_doubled_and_gaps_say_their_size(
    pieces: list[bytes], asked: int | None, drives: bool, ring_size: int, steps: list[int]
) -> None:
    asyncio.run(follow(pieces, asked, drives, ring_size, steps))


async def test_one_who_drives_is_never_moved_forward_and_one_who_watches_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(1 << 20)
    driver, watcher = (Viewer(ring, 0, drives=drives, who="x") for drives in (True, False))
    for viewer in (driver, watcher):
        viewer.begin()
    ring.append(b"x" * (module.BEHIND + 1))
    assert isinstance(await driver.next(), bytes)
    moved = await watcher.next()
    assert isinstance(moved, At)
    assert moved.skipped == module.BEHIND + 1 - module.KEPT
    assert driver.room < 0  # the program has to wait


async def test_one_who_is_ahead_of_everything_waits_for_more() -> None:
    ring = Ring(100)
    viewer = Viewer(ring, 1000, drives=True, who="x")
    assert viewer.begin() == At(0, 0)
    waiting = asyncio.ensure_future(viewer.next())
    await asyncio.sleep(0)
    ring.append(b"more")
    viewer.wake()
    assert await waiting == b"more"

"""A loop stays awake only where that pays; time and the loop's turns are the test's own."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tieline.limits import Limits
from tieline.testing.transports import Recorder
from tieline.transports.busy_poll import FEW, KEPT, MANY, WORTH_IT, BusyPoll, busy_poll
from tieline.transports.stream import Stream

WINDOW = 50e-6
SOON, LATE = 20e-6, 100e-6


class Loop:
    """Turns when told to; `now` is its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ready: list[Callable[[], None]] = []
        self.poll = BusyPoll(self.ready.append, lambda: self.now)

    @property
    def awake(self) -> bool:
        assert self.poll.awake == bool(self.ready)
        return self.poll.awake

    def turn(self) -> None:
        ready = self.ready[:]
        self.ready.clear()
        for callback in ready:
            callback()

    def read(self) -> None:
        if self.poll.awake:
            self.poll.heard = True
        else:
            self.poll.read(WINDOW)

    def feed(self, times: int, gap: float = SOON) -> None:
        """So many reads, each followed by a turn."""
        for _ in range(times):
            self.now += gap
            self.read()
            self.turn()

    def wait_in_vain(self) -> None:
        self.now += LATE
        self.turn()

    def reads_to_wake(self) -> int:
        for reads in range(2 * MANY):
            if self.awake:
                return reads
            self.feed(1)
        raise AssertionError("it never wakes")


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_bytes_far_apart_never_keep_it_awake(loop: Loop) -> None:
    for _ in range(10 * FEW):
        loop.feed(1, LATE)
        assert not loop.awake


def test_bytes_that_keep_coming_soon_keep_it_awake(loop: Loop) -> None:
    loop.feed(FEW)  # the first was late
    assert not loop.awake
    loop.feed(1)
    assert loop.awake


def test_one_late_read_begins_the_count_again(loop: Loop) -> None:
    loop.feed(FEW)
    loop.feed(1, LATE)
    loop.feed(FEW - 1)
    assert not loop.awake
    loop.feed(1)
    assert loop.awake


def test_it_is_awake_between_reads_and_sleeps_after_one_window_in_vain(loop: Loop) -> None:
    loop.feed(FEW + 1)
    for _ in range(100):
        loop.feed(1, WINDOW * 0.9)
        assert loop.awake
    loop.now += WINDOW * 0.9
    loop.turn()
    assert loop.awake
    loop.now += WINDOW * 0.2
    loop.turn()
    assert not loop.awake


def test_many_reads_in_a_turn_are_one(loop: Loop) -> None:
    loop.feed(FEW + 1)
    for _ in range(5):
        loop.read()
    assert len(loop.ready) == 1


def test_whoever_waited_in_vain_needs_longer_each_time_up_to_a_bound(loop: Loop) -> None:
    needed = []
    for _ in range(10):
        needed.append(loop.reads_to_wake())
        loop.wait_in_vain()  # once more bytes, once none
        loop.wait_in_vain()
    assert needed == sorted(needed)
    assert needed[0] == FEW + 1
    assert needed[1] >= 2 * FEW
    assert needed[-1] == needed[-2] == MANY + 1


def test_whoever_was_fed_while_awake_may_begin_as_soon_as_at_first(loop: Loop) -> None:
    for _ in range(5):
        loop.reads_to_wake()
        loop.wait_in_vain()
        loop.wait_in_vain()
    assert loop.reads_to_wake() > FEW + 1
    loop.feed(WORTH_IT)
    loop.wait_in_vain()
    loop.feed(1, LATE)
    assert loop.reads_to_wake() == FEW


@pytest.mark.parametrize("fed", [False, True])
def test_whoever_is_kept_from_the_processor_leaves_it_to_the_others(loop: Loop, fed: bool) -> None:
    loop.feed(2 * WORTH_IT)
    loop.now += WINDOW + KEPT
    if fed:
        loop.read()
    loop.turn()
    assert not loop.awake
    loop.feed(1, LATE)
    assert loop.reads_to_wake() == MANY


def test_a_turn_that_takes_a_while_is_not_that(loop: Loop) -> None:
    loop.feed(2 * WORTH_IT)
    loop.now += KEPT / 2
    loop.read()
    loop.turn()
    assert loop.awake


async def test_one_for_each_loop_and_none_in_a_thread_of_its_own() -> None:
    assert busy_poll() is busy_poll() is not None
    found: list[BusyPoll | None] = []

    async def look() -> None:
        found.append(busy_poll())

    thread = threading.Thread(target=lambda: asyncio.run(look()))
    thread.start()
    thread.join()
    assert found == [None]


async def test_a_limit_of_nothing_is_never() -> None:
    assert Stream(Recorder(), limits=Limits(busy_poll=0.0))._poll is None
    assert Stream(Recorder())._poll is busy_poll()

import asyncio
import math

import pytest

from tieline.rpc.alarm import Alarm
from tieline.rpc.deadlines import Deadlines


@pytest.fixture
def ringing(clock):
    """`ringing(play)` runs it with an alarm, its deadlines, and the list of (time, channels) at which it rang."""

    def run(play):
        async def whole():
            rang = []
            start = clock.now
            deadlines = Deadlines()
            alarm = Alarm(deadlines, lambda channels: rang.append((round(clock.now - start, 1), sorted(channels))))
            await play(alarm, deadlines, rang)
            alarm.off()

        clock.run(whole())

    return run


def test_each_rings_at_its_time_whatever_order_they_were_set_in(ringing, clock):
    async def play(alarm, deadlines, rang):
        for channel, timeout in ((1, 3.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 9.0)):
            alarm.set(channel, timeout)
        for _ in range(40):
            await clock.advance(0.1)
        assert rang == [(1.0, [2]), (2.0, [3, 4]), (3.0, [1])]
        await clock.advance(10)
        assert rang[3:] == [(9.0, [5])]

    ringing(play)


def test_what_was_removed_does_not_ring(ringing, clock):
    async def play(alarm, deadlines, rang):
        alarm.set(1, 1.0)
        alarm.set(2, 2.0)
        deadlines.remove(1)
        for _ in range(30):
            await clock.advance(0.1)
        assert rang == [(2.0, [2])]

    ringing(play)


def test_who_is_told_may_set_the_next(ringing, clock):
    async def play(alarm, deadlines, rang):
        again = Alarm(deadlines, lambda channels: again.set(channels[0] + 1, 1.0))
        again.set(1, 1.0)
        for _ in range(45):
            await clock.advance(0.1)
        assert deadlines.due(math.inf) == [5]
        again.off()

    ringing(play)


@pytest.mark.parametrize("timeout", [0.0, -1.0, -math.inf])
def test_what_is_over_already_rings_at_once(ringing, clock, timeout):
    async def play(alarm, deadlines, rang):
        alarm.set(1, timeout)
        await clock.advance(0.02)
        assert rang == [(0.0, [1])]

    ringing(play)


@pytest.mark.parametrize("timeout", [math.inf, math.nan, 1e300])
async def test_a_timeout_beyond_all_bounds_is_none(timeout):
    deadlines = Deadlines()
    Alarm(deadlines, lambda channels: None).set(1, timeout)
    assert deadlines.next() is None


def test_after_off_nothing_rings_and_the_loop_keeps_no_timer(ringing, clock):
    async def play(alarm, deadlines, rang):
        alarm.set(1, 1.0)
        alarm.off()
        await clock.advance(5)
        assert rang == []
        assert not [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]

    ringing(play)

from hypothesis import given
from hypothesis import strategies as st

from tieline.rpc.deadlines import Deadlines

TIMES = st.floats(0, 1000)


@given(
    st.lists(st.tuples(st.integers(1, 30), TIMES), unique_by=lambda each: each[0]), st.sets(st.integers(1, 30)), TIMES
)
def test_what_was_added_and_not_removed_is_due_at_its_time_and_never_before(added, removed, now):
    deadlines = Deadlines()
    for channel, when in added:
        deadlines.add(channel, when)
    for channel in removed:
        deadlines.remove(channel)
    kept = {channel: when for channel, when in added if channel not in removed}
    assert bool(deadlines) == bool(kept)
    following = deadlines.next()
    assert (following is None) == (not kept)
    if following is not None:
        assert 0 <= following - min(kept.values()) < 0.011  # rounded up to hundredths
    due = set(deadlines.due(now))
    assert all(kept[channel] <= now + 1e-6 for channel in due)
    assert all(kept[channel] > now - 0.011 for channel in kept.keys() - due)
    assert set(deadlines.due(2000)) == kept.keys() - due
    assert deadlines.next() is None
    assert not deadlines


def test_a_hundred_thousand_answered_calls_with_long_timeouts_leave_little_behind():
    deadlines = Deadlines()
    for n in range(100_000):
        deadlines.add(n, 3600 + n * 0.01)
        if n >= 10:
            deadlines.remove(n - 10)
    assert len(deadlines._steps) < 200
    assert len(deadlines._channels) < 200
    assert set(deadlines.due(10_000)) == set(range(99_990, 100_000))

"""Each datagram counts once, in whatever order they come."""

from hypothesis import given
from hypothesis import strategies as st

from tieline.wire.replay import ReplayWindow


def seen(*counters, size=8):
    window = ReplayWindow(size)
    for counter in counters:
        window.mark(counter)
    return window


def test_the_first_may_be_any():
    assert seen().standing(0) == "new"
    assert seen().standing(2**64 - 1) == "new"


def test_a_repeated_one_is_known():
    assert seen(0).standing(0) == "replayed"
    assert seen(5, 3).standing(3) == "replayed"


def test_a_late_one_within_the_window_is_new():
    assert seen(0, 7).standing(1) == "new"


def test_one_behind_the_window_is_too_old_whether_it_was_seen_or_not():
    assert seen(0, 8).standing(0) == "too old"
    assert seen(8).standing(0) == "too old"


def test_a_great_leap_forgets_what_is_behind_and_costs_nothing():
    window = seen(0, 1, 2, 2**64 - 1)
    assert window.standing(2) == "too old"
    assert window.standing(2**64 - 2) == "new"
    assert window.standing(2**64 - 1) == "replayed"


def test_asking_changes_nothing():
    window = seen(3)
    assert window.standing(100) == window.standing(100) == "new"
    assert window.newest == 3


@given(st.lists(st.integers(0, 60)), st.integers(1, 40))
def test_it_does_what_a_set_of_all_counters_would_do(counters, size):
    window, all_seen = ReplayWindow(size), set()
    for counter in counters:
        newest = max(all_seen, default=-1)
        expected = "too old" if counter <= newest - size else "replayed" if counter in all_seen else "new"
        assert window.standing(counter) == expected
        if expected == "new":
            window.mark(counter)
            all_seen.add(counter)

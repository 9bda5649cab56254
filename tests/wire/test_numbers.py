import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tieline.errors import ProtocolError
from tieline.wire.numbers import CHANNELS, check_order, is_past, next_free

NUMBERS = st.one_of(st.integers(1, 50), st.integers(CHANNELS - 50, CHANNELS - 1), st.integers(1, CHANNELS - 1))


@given(NUMBERS, st.sets(st.integers(1, 60), max_size=20))
@example(CHANNELS - 1, {1, 3})
@example(CHANNELS - 2, {2, 4})
def test_the_next_channel_of_a_side_is_free_its_own_and_one_the_other_side_takes(last, taken):
    channel = next_free(last + 2, taken)
    assert channel not in taken
    assert channel % 2 == last % 2
    assert 0 < channel < CHANNELS
    check_order(channel, last)


@pytest.mark.parametrize(
    ("channel", "last", "why"),
    [
        (0, -1, ": a client's are odd"),
        (0, CHANNELS - 2, ": a server's are even"),
        (1, 1, " after 1: each is larger"),
        (1, 3, " after 3: each is larger"),
        (4, 1, ": a client's are odd"),
        (2, -1, ": a client's are odd"),
        (3, 0, ": a server's are even"),
        (CHANNELS - 1, 1, " after 1: each is larger"),
        (1 + CHANNELS // 2, 1, " after 1: each is larger"),
    ],
    ids=str,
)
def test_nobody_goes_back_stays_jumps_half_way_or_takes_the_others_numbers(channel, last, why):
    with pytest.raises(ProtocolError, match=f"channel {channel} cannot be opened{why}"):
        check_order(channel, last)


@pytest.mark.parametrize(("channel", "last"), [(1, -1), (2, 0), (5, 1), (1, CHANNELS - 1), (2, CHANNELS - 2)], ids=str)
def test_numbers_may_be_left_out_and_begin_again(channel, last):
    check_order(channel, last)


@given(NUMBERS, st.integers(0, CHANNELS // 2 - 1))
def test_what_was_opened_before_the_newest_is_past_and_what_comes_is_not(last, ago):
    assert is_past((last - ago) % CHANNELS, last)
    assert not is_past((last + 1 + ago) % CHANNELS, last)


@pytest.mark.parametrize("last", [-1, 0])
def test_before_the_first_call_nothing_is_past(last):
    assert not any(is_past(channel, last) for channel in (0, 1, 2, CHANNELS - 1, CHANNELS - 2))

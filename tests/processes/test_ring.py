"""The newest bytes by position."""

from hypothesis import given
from hypothesis import strategies as st

from tieline.processes.ring import Ring


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(1, 64))
def test_what_is_kept_is_the_end_of_all_that_came(pieces: list[bytes], size: int) -> None:
    ring, whole = Ring(size), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    assert ring.end == len(whole)
    assert ring.read(ring.start, len(whole)) == whole[ring.start :]
    assert ring.end - ring.start >= min(size, len(whole))
    assert ring.end - ring.start <= 2 * size + 50

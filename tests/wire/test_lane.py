"""Frames of a lane: what is too long, or no frame at all, is refused by its header alone."""

import pytest

from tieline.errors import ProtocolError
from tieline.wire.lane import BLOCK, HEADER, HOLE, MARK, MESSAGE, Kind, hole_frame, mark_frame, read_header

LONGEST = [(Kind.MESSAGE, MESSAGE), (Kind.DATA, BLOCK), (Kind.HOLE, HOLE.size), (Kind.MARK, MARK.size)]


@pytest.mark.parametrize(("kind", "size"), LONGEST, ids=lambda value: getattr(value, "name", None))
def test_a_frame_as_long_as_it_may_be_is_taken_and_one_byte_more_is_not(kind: Kind, size: int) -> None:
    assert read_header(HEADER.pack(size, kind)) == (kind, size)
    with pytest.raises(ProtocolError, match=f"{kind.name} frame of {size + 1:,} bytes; {size:,} are allowed"):
        read_header(HEADER.pack(size + 1, kind))


@pytest.mark.parametrize("kind", [Kind.HOLE, Kind.MARK])
def test_what_has_one_length_has_no_shorter_one(kind: Kind) -> None:
    with pytest.raises(ProtocolError):
        read_header(HEADER.pack(1, kind))


@pytest.mark.parametrize("number", [0, 5, 255])
def test_a_kind_that_is_none_is_named(number: int) -> None:
    with pytest.raises(ProtocolError, match=f"no frames of kind {number}"):
        read_header(HEADER.pack(0, number))


def test_what_is_said_of_a_file_is_read_as_it_was_said() -> None:
    mark, hole = mark_frame(7, b"d" * 32), hole_frame(1 << 40)
    assert read_header(mark[: HEADER.size]) == (Kind.MARK, MARK.size)
    assert MARK.unpack(mark[HEADER.size :]) == (7, b"d" * 32)
    assert read_header(hole[: HEADER.size]) == (Kind.HOLE, HOLE.size)
    assert HOLE.unpack(hole[HEADER.size :]) == (1 << 40,)

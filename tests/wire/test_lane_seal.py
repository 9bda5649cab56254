"""Sealed records: what was sent comes out, in that order and no other, or nothing does."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import ProtocolError
from tieline.wire import lane_seal
from tieline.wire.lane_seal import KEY, LENGTH, LONGEST, RECORD, TAG, AlteredError, Seal, sealed_size

ONE, OTHER = bytes(range(KEY)), bytes(KEY)


def close(seal: Seal, data: bytes) -> bytes:
    into = bytearray(LONGEST)
    return bytes(into[: seal.close(memoryview(data), memoryview(into))])


def opened(seal: Seal, record: bytes) -> bytes:
    size = sealed_size(record[: LENGTH.size])
    assert size == len(record) - LENGTH.size
    into = bytearray(size - TAG)
    seal.open(memoryview(record)[LENGTH.size :], memoryview(into))
    return bytes(into)


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=20))
def test_what_is_sealed_opens_in_order(pieces: list[bytes]) -> None:
    closing, opening = Seal(ONE), Seal(ONE)
    records = [close(closing, piece) for piece in pieces]
    assert [opened(opening, record) for record in records] == pieces
    assert len(set(records)) == len(records)  # the same bytes twice are not seen to be the same


def test_the_longest_record_is_as_long_as_it_says() -> None:
    assert len(close(Seal(ONE), bytes(RECORD))) == LONGEST


ALTERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "left out": lambda records: records[1:],
    "doubled": lambda records: [records[0], records[0]],
    "swapped": lambda records: [records[1], records[0]],
    "a byte flipped": lambda records: [records[0][:9] + bytes([records[0][9] ^ 1]) + records[0][10:]],
    "the tag flipped": lambda records: [records[0][:-1] + bytes([records[0][-1] ^ 1])],
    "shorter": lambda records: [LENGTH.pack(len(records[0]) - LENGTH.size - 1) + records[0][LENGTH.size : -1]],
    "longer": lambda records: [LENGTH.pack(len(records[0]) - LENGTH.size + 1) + records[0][LENGTH.size :] + b"\0"],
    "from the other direction": lambda records: [close(Seal(OTHER), b"hello")],
}


@pytest.mark.parametrize("how", ALTERED)
def test_what_is_altered_does_not_open_nor_does_anything_after_it(how: str) -> None:
    closing, opening = Seal(ONE), Seal(ONE)
    records = [close(closing, piece) for piece in (b"first", b"second", b"third")]
    good = 1 if how == "doubled" else 0
    altered = ALTERED[how](records)
    for record in altered[:good]:
        opened(opening, record)
    for record in altered[good : good + 1] * 2:
        with pytest.raises(AlteredError):
            opened(opening, record)


def test_lengths_are_refused_before_anything_is_read() -> None:
    for size in (0, TAG - 1, TAG, RECORD + TAG + 1, 2**32 - 1):
        with pytest.raises(ProtocolError, match="sealed record"):
            sealed_size(LENGTH.pack(size))
    assert sealed_size(LENGTH.pack(TAG + 1)) == TAG + 1
    assert sealed_size(LENGTH.pack(RECORD + TAG)) == RECORD + TAG


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_its_length(size: int) -> None:
    with pytest.raises(ProtocolError, match="key"):
        Seal(bytes(size))


def test_after_many_records_both_sides_take_the_next_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_seal, "_RECORDS", 3)
    closing, opening = Seal(ONE), Seal(ONE)
    records = [close(closing, b"%d" % number) for number in range(10)]
    monkeypatch.setattr(lane_seal, "_RECORDS", 100)
    old = Seal(ONE)
    assert [opened(old, record) for record in records[:3]] == [b"0", b"1", b"2"]
    with pytest.raises(AlteredError):
        opened(old, records[3])  # the first key opens nothing behind
    monkeypatch.setattr(lane_seal, "_RECORDS", 3)
    assert [opened(opening, record) for record in records] == [b"%d" % number for number in range(10)]

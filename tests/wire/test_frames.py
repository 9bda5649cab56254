import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import LimitExceeded, ProtocolError
from tieline.wire.frames import HEADER, PREFACE, FrameCutter, Kind, frame

FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=40)),
    max_size=8,
)


def cut(pieces, limit=1000):
    cutter = FrameCutter(limit)
    return cutter, [found for piece in pieces for found in cutter.feed(piece)]


def stream(frames):
    return PREFACE + b"".join(frame(*each) for each in frames)


@given(FRAMES)
def test_frames_fed_whole_come_back_whole(frames):
    cutter, found = cut([stream(frames)])
    assert found == frames
    assert cutter.kept == 0


@given(FRAMES)
def test_frames_fed_byte_by_byte_are_the_same_frames(frames):
    data = stream(frames)
    cutter, found = cut([data[i : i + 1] for i in range(len(data))])
    assert found == frames
    assert cutter.kept == 0


@given(FRAMES, st.binary(min_size=1, max_size=8))
def test_a_tail_is_kept_until_the_rest_comes(frames, tail):
    cutter, found = cut([stream(frames) + tail])
    assert found == frames
    assert cutter.kept == len(tail)


@given(FRAMES, st.lists(st.integers(0, 400), max_size=12))
def test_it_does_not_matter_where_the_reads_are_cut(frames, cuts):
    data = stream(frames)
    edges = [0, *sorted(min(at, len(data)) for at in cuts), len(data)]
    _, found = cut([data[a:b] for a, b in itertools.pairwise(edges)])
    assert found == frames


@pytest.mark.parametrize("length", [1001, 2**31, 2**32 - 1])
def test_a_length_above_the_limit_is_refused_from_the_header_alone(length):
    cutter = FrameCutter(1000)
    tracemalloc.start()
    with pytest.raises(LimitExceeded) as caught:
        cutter.feed(PREFACE + HEADER.pack(length, Kind.CALL, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.value.got, caught.value.limit) == (length, 1000)
    assert cutter.kept == 0
    assert peak < 20_000


def test_the_header_of_a_frame_too_large_may_come_in_pieces():
    cutter = FrameCutter(1000)
    data = PREFACE + HEADER.pack(1001, Kind.CALL, 1)
    for i in range(len(data) - 1):
        assert cutter.feed(data[i : i + 1]) == []
    with pytest.raises(LimitExceeded):
        cutter.feed(data[-1:])


def test_a_frame_too_large_does_not_hide_the_good_ones_before_it():
    cutter = FrameCutter(1000)
    assert cutter.feed(PREFACE + frame(Kind.PING, 0) + HEADER.pack(5000, Kind.CALL, 1)) == [(Kind.PING, 0, b"")]
    assert cutter.refused
    with pytest.raises(LimitExceeded):
        cutter.feed(b"")


def test_a_frame_of_exactly_the_limit_passes():
    _, found = cut([PREFACE + frame(Kind.DATA, 1, b"x" * 1000)])
    assert len(found[0][2]) == 1000


def test_a_large_frame_in_small_reads_is_copied_a_bounded_number_of_times():
    cutter = FrameCutter(1 << 20)
    data = PREFACE + frame(Kind.DATA, 1, bytes(1 << 20))
    tracemalloc.start()
    found = [each for at in range(0, len(data), 1400) for each in cutter.feed(data[at : at + 1400])]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 1
    assert peak < 4 << 20


@given(st.binary(min_size=1, max_size=30))
def test_another_preface_is_refused_at_its_first_wrong_byte(data):
    wrong = next((i for i, (a, b) in enumerate(zip(data, PREFACE, strict=False)) if a != b), None)
    cutter = FrameCutter(1000)
    for i in range(min(len(data), len(PREFACE))):
        if i == wrong:
            with pytest.raises(ProtocolError):
                cutter.feed(data[i : i + 1])
            return
        assert cutter.feed(data[i : i + 1]) == []


def test_what_is_no_preface_is_shown_since_it_mostly_says_who_was_called():
    with pytest.raises(ProtocolError, match=r"begins with b'SSH-2\.0-OpenSSH_9\.2"):
        FrameCutter(1000).feed(b"SSH-2.0-OpenSSH_9.2p1\r\n" + bytes(1000))


def test_the_preface_cannot_be_taken_for_another_protocol():
    assert PREFACE[0] not in range(128)
    assert PREFACE[0] != 0x16
    with pytest.raises(UnicodeDecodeError):
        PREFACE.decode()

"""Messages and raw bytes over a lane, its deadlines, and its end from outside."""

import threading

import msgspec
import pytest

from tieline.errors import Denied, LinkClosed, ProtocolError
from tieline.lanes.connection import Lane
from tieline.limits import DEFAULT, MiB
from tieline.wire.lane import HEADER, MESSAGE, Kind, mark_frame
from tieline.wire.lane_messages import Alive, AllKept, Closing, End, Kept, message_frame

from .conftest import Pair


def test_messages_and_bytes_come_in_their_order(pair: Pair) -> None:
    data = bytes(range(256)) * 4096

    def other(lane: Lane) -> None:
        lane.say(Kept(3))
        lane.send(HEADER.pack(len(data), Kind.DATA) + data + mark_frame(7, b"d" * 32) + message_frame(End()))

    pair.there(other)
    assert pair.here.message() == Kept(3)
    kind, size = pair.here.header()
    assert (kind, size) == (Kind.DATA, len(data))
    buffer = memoryview(bytearray(size))
    pair.here.read_into(buffer)
    assert bytes(buffer) == data
    assert pair.here.header() == (Kind.MARK, 40)
    assert pair.here.mark() == (7, b"d" * 32)
    assert pair.here.message() == End()


def test_bytes_may_trickle(pair: Pair) -> None:
    whole = message_frame(Kept(300)) + message_frame(AllKept())

    def other(lane: Lane) -> None:
        for byte in whole:
            lane.sock.send(bytes([byte]))

    pair.there(other)
    assert pair.here.message() == Kept(300)
    assert pair.here.message() == AllKept()


def test_two_who_both_send_do_not_wait_for_each_other(pair: Pair) -> None:
    """The keeping side answers though nobody reads; the bulk side takes the answers in while it cannot send."""
    answers = 20_000

    def other(lane: Lane) -> None:
        for number in range(answers):
            lane.say(Kept(number))
        buffer = memoryview(bytearray(8 * MiB))
        lane.read_into(buffer)

    pair.there(other)
    pair.here.send(bytes(8 * MiB))
    assert [pair.here.message() for _ in range(answers)] == [Kept(number) for number in range(answers)]
    pair.join()


def test_signs_of_life_are_passed_over_and_a_goodbye_is_raised(pair: Pair) -> None:
    pair.there(lambda lane: lane.send(message_frame(Alive()) + message_frame(Closing("denied", "not you"))))
    with pytest.raises(Denied, match="not you"):
        pair.here.message()


@pytest.mark.parametrize(
    "frame",
    [
        HEADER.pack(4, 9) + b"abcd",
        HEADER.pack(MESSAGE + 1, Kind.MESSAGE),
        HEADER.pack(2**32 - 1, Kind.DATA),
        HEADER.pack(7, Kind.HOLE),
        HEADER.pack(0, Kind.MARK),
        HEADER.pack(3, Kind.MESSAGE) + b"\xc1\xc1\xc1",
        HEADER.pack(2, Kind.MESSAGE) + b"\x91\x63",
    ],
)
def test_what_is_no_frame_ends_the_lane_before_it_is_kept(pair: Pair, frame: bytes) -> None:
    pair.there(lambda lane: lane.send(frame))
    with pytest.raises(ProtocolError):
        pair.here.message()


def test_a_silent_lane_has_a_deadline(pair: Pair) -> None:
    hasty = Lane(pair.here.sock, msgspec.structs.replace(DEFAULT, lane_idle=0.1))
    with pytest.raises(LinkClosed, match="said nothing"):
        hasty.message()


def test_a_message_that_was_begun_has_one_too(pair: Pair) -> None:
    hasty = Lane(pair.here.sock, msgspec.structs.replace(DEFAULT, lane_progress=0.1))
    pair.other.send(b"\x00\x00")
    with pytest.raises(LinkClosed, match="said nothing"):
        hasty.message()


def test_one_who_reads_nothing_holds_nobody_up_for_ever(pair: Pair) -> None:
    hasty = Lane(pair.here.sock, msgspec.structs.replace(DEFAULT, lane_progress=0.1))
    with pytest.raises(LinkClosed, match="takes nothing more"):
        hasty.send(bytes(32 * MiB))


def test_a_lane_is_stopped_from_another_thread(pair: Pair) -> None:
    timer = threading.Timer(0.05, pair.here.stop, [Denied("revoked")])
    timer.start()
    with pytest.raises(Denied, match="revoked"):
        pair.here.message()
    timer.join()


def test_what_came_before_it_was_stopped_is_not_heeded_any_more(pair: Pair) -> None:
    """A right that was taken back is not used by what lies here already."""
    pair.other.send(message_frame(Kept(1)) + message_frame(Kept(2)))
    assert pair.here.readable()
    assert pair.here.message() == Kept(1)
    pair.here.stop(Denied("revoked"))
    with pytest.raises(Denied, match="revoked"):
        pair.here.message()

"""Taking bytes is all or nothing, costs no more for bytes that trickle, and keeps no memory of bytes that are used."""

import struct

import pytest

from tieline.errors import LimitExceeded
from tieline.wire.inbox import MORE, Inbox


def test_what_is_not_whole_stays_and_what_is_comes_once():
    inbox = Inbox(b"abcd")
    assert inbox.exactly(5) is MORE
    assert inbox.exactly(3) == b"abc"
    assert len(inbox) == 1
    inbox.feed(b"efg")
    assert inbox.exactly(4) == b"defg"
    assert inbox.exactly(0) == b""
    assert not inbox


def test_a_separator_is_found_across_pieces_and_thrown_away():
    inbox = Inbox()
    for piece in (b"one\r", b"\ntw", b"o\r\n", b"\r\n"):
        inbox.feed(piece)
    assert [inbox.until(b"\r\n", 10) for _ in range(3)] == [b"one", b"two", b""]
    assert inbox.until(b"\r\n", 10) is MORE


def test_the_limit_holds_with_and_without_the_separator():
    assert Inbox(b"12345|").until(b"|", 5) == b"12345"
    with pytest.raises(LimitExceeded, match="word is 6, the limit is 5"):
        Inbox(b"123456|").until(b"|", 5, "word")
    with pytest.raises(LimitExceeded):
        Inbox(b"123456").until(b"|", 5)
    assert Inbox(b"12345|").until(b"||", 5) is MORE  # the first half of a separator is no part of the message


class Counting(bytearray):
    """Counts the bytes that are searched."""

    looked_at = 0

    def find(self, separator, start=0, end=None):
        self.looked_at += len(self) - start
        return super().find(separator, start)


def test_bytes_that_trickle_are_searched_once_each():
    inbox = Inbox()
    inbox._data = data = Counting(b"x")
    for _ in range(1000):
        inbox.feed(b"x")
        assert inbox.until(b"\n", 10_000) is MORE
    assert inbox._data is data
    assert data.looked_at < 3000


def test_another_separator_is_searched_from_the_beginning():
    inbox = Inbox(b"a;b")
    assert inbox.until(b"\n", 10) is MORE
    inbox.forget()
    assert inbox.until(b";", 10) == b"a"


def test_used_bytes_give_their_memory_back():
    inbox = Inbox()
    for _ in range(50):
        inbox.feed(bytes(100_000))
        inbox.exactly(99_999)
    assert len(inbox) == 50
    assert len(inbox._data) < 250_000
    inbox.all()
    assert inbox._data == b""


def test_what_comes_out_is_always_bytes():
    inbox = Inbox(b"ab")
    inbox.feed(memoryview(b"cd|ef"))
    taken = [inbox.peek(1), inbox.exactly(1), inbox.until(b"|", 9), inbox.all()]
    assert taken == [b"a", b"a", b"bcd", b"ef"]
    assert {type(piece) for piece in taken} == {bytes}


def test_a_negative_size_is_an_error_and_takes_nothing():
    inbox = Inbox(b"abc")
    with pytest.raises(ValueError, match="negative"):
        inbox.exactly(-2)
    with pytest.raises(ValueError, match="negative"):
        inbox.exactly(1, skip=-1)
    assert inbox.all() == b"abc"


def test_peeking_takes_nothing():
    inbox = Inbox(b"\x00\x05hello")
    assert inbox.number(struct.Struct("!H")) == 5
    assert inbox.peek(9, skip=2) == b"hello"
    with inbox.view(2) as view:
        assert view == b"hello"
    assert inbox.exactly(5, skip=2) == b"hello"
    assert inbox.number(struct.Struct("!H")) is MORE
    assert inbox.peek(1) == b""


def test_a_codecs_note_is_forgotten_with_the_bytes_it_is_about():
    inbox = Inbox(b"abc")
    inbox.note = "half"
    assert inbox.exactly(4) is MORE
    assert inbox.note == "half"
    inbox.exactly(1)
    assert inbox.note is None

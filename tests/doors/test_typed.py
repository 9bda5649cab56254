"""Bytes that a person typed, as lines."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.doors.typed import LineReader, Typed


def lines(*pieces, limit=1000):
    reader = LineReader(limit)
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (typed := reader.take()) is not None:
            found.append(typed)
    rest = reader.rest()
    return [*found, *([rest] if rest else [])]


def texts(*pieces, limit=1000):
    return [typed.text for typed in lines(*pieces, limit=limit)]


def one_at_a_time(data):
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (b"hello\n", "hello"),
        (b"hello\r\n", "hello"),
        (b"hello\r\0", "hello"),
        (b"hello", "hello"),
        (b"hello\r", "hello"),
        ("grüße 👩‍🔬 שלום\n".encode(), "grüße 👩‍🔬 שלום"),
        (b"a\tb\n", "a\tb"),
        (b"helo\x7flo\n", "hello"),
        (b"helo\x08lo\n", "hello"),
        (b"\x7f\x7f\x08hello\n", "hello"),
        (b"he\x1b[D\x1b[1;5Cl\x1bOAlo\x03\x04\x1b\n", "hello"),
        (b"\x1b[200~pasted\x1b[201~\n", "pasted"),
        (b"nu\0l\n", "nul"),
        ("c1\x9b31m\n".encode(), "c131m"),
    ],
)
def test_a_line_is_its_text_whole_or_byte_by_byte(typed, text):
    assert texts(typed) == [text]
    assert texts(*one_at_a_time(typed)) == [text]
    if typed.endswith(b"\n"):
        assert texts(typed + b"tail") == [text, "tail"]


def test_empty_lines_are_lines_and_nothing_is_none():
    assert texts(b"\n\r\n\n") == ["", "", ""]
    assert texts(b"") == []


def test_a_line_may_fill_its_limit_and_one_byte_more_is_too_long():
    assert lines(b"x" * 10 + b"\r\n", limit=10) == [Typed("x" * 10)]
    assert lines(b"x" * 10, b"\r", b"\n", limit=10) == [Typed("x" * 10)]
    assert lines(b"x" * 11 + b"\n", limit=10) == [Typed("x" * 11, too_long=True)]


def test_a_line_that_gets_too_long_is_said_at_once_and_the_next_one_is_fine():
    reader = LineReader(10)
    reader.feed(b"x" * 500)
    assert reader.take() == Typed("x" * 256, too_long=True)
    for _ in range(100):
        reader.feed(b"y" * 500)
        assert reader.take() is None
        assert reader.held == 0
    reader.feed(b"y\nnext\n")
    assert reader.take() == Typed("next")
    assert reader.take() is None


def test_what_is_not_utf8_is_replaced_and_said():
    assert lines(b"caf\xe9\n") == [Typed("caf\ufffd", replaced=True)]


@pytest.mark.timeout(20)
def test_a_line_half_rubbed_out_costs_no_more_than_another():
    limit = 1_000_000  # where the square of it would be hours
    for hostile in (
        b"a" * (limit // 2) + b"\x7f" * (limit // 2),
        b"\x1b[" * (limit // 2),
        b"\x1b[" + b"0" * limit,
        b"\x1b[" + b" " * limit,
    ):
        assert len(lines(hostile[:limit] + b"\n", limit=limit)) == 1


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_where_the_bytes_are_cut_makes_no_difference(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert lines(*pieces) == lines(data)


@given(st.lists(st.binary(max_size=100), max_size=20), st.integers(1, 50))
def test_whatever_comes_no_line_is_longer_than_allowed_and_no_key_gets_through(pieces, limit):
    for typed in lines(*pieces, limit=limit):
        assert typed.too_long or len(typed.text) <= limit
        assert not set(typed.text) & {chr(point) for point in [*range(9), *range(10, 32), *range(127, 160)]}

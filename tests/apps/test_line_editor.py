"""Typing a line, key by key, as a terminal sends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.apps.cli.line_editor import LineEditor
from tieline.apps.cli.output import width
from tieline.wire.safe_text import safe_text

LEFT, RIGHT, UP, DOWN = b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B"


def typed(*keys: bytes) -> LineEditor:
    editor = LineEditor()
    for key in keys:
        assert editor.feed(key) == []
    return editor


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        ([b"hello"], "hello", 5),
        ([b"hllo", LEFT, LEFT, LEFT, b"e"], "hello", 2),
        ([b"helloo\x7f"], "hello", 5),
        ([b"ab", LEFT, b"\x1b[3~"], "a", 1),
        ([b"ab", b"\x01", b"\x04"], "b", 0),
        ([b"one two  three\x17"], "one two  ", 9),
        ([b"one two", b"\x1b[H", b"\x0b"], "", 0),
        ([b"one two", LEFT, b"\x15"], "o", 0),
        ([b"\x7f", LEFT, RIGHT, b"\x1b[3~"], "", 0),
        ([b"a\x1b[200~b\x1b[Z\x07c"], "abc", 3),
        (["grün 日本".encode()], "grün 日本", 7),
    ],
)
def test_keys(keys: list[bytes], text: str, cursor: int) -> None:
    editor = typed(*keys)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_enter_finishes_lines_and_keeps_what_follows() -> None:
    editor = LineEditor()
    assert editor.feed(b"one\rtwo\nthr") == ["one", "two"]
    assert editor.text == "thr"


def test_bytes_may_come_one_at_a_time() -> None:
    editor = LineEditor()
    lines = [line for byte in "ü\x1b[Dx\x1b[C!\n".encode() for line in editor.feed(bytes([byte]))]
    assert lines == ["xü!"]


def test_up_and_down_go_through_the_past() -> None:
    editor = LineEditor()
    editor.feed(b"one\ntwo\ntwo\n")
    texts = []
    for key in (UP, UP, UP, DOWN, DOWN, DOWN):
        editor.feed(key)
        texts.append(editor.text)
    assert texts == ["two", "one", "one", "two", "", ""]


def test_end_of_input_counts_only_on_an_empty_line() -> None:
    editor = typed(b"a\x04")
    assert not editor.ended
    editor.feed(b"\x7f\x04")
    assert editor.ended


def test_a_pasted_escape_sequence_is_shown_as_signs_and_a_long_line_is_scrolled() -> None:
    editor = LineEditor()
    editor.text, editor.cursor = "a\x1b[2J\u202e", 6
    assert editor.view(80) == ("a␛[2J\ufffd", 0)
    editor.text, editor.cursor = "0123456789" * 10, 50
    shown, back = editor.view(20)
    assert shown == "1234567890123456789"[-19:]
    assert back == 0


@given(st.lists(st.binary(max_size=8), max_size=30), st.integers(10, 100))
def test_no_input_breaks_it_and_the_view_always_fits(chunks: list[bytes], columns: int) -> None:
    editor = LineEditor()
    for chunk in chunks:
        editor.feed(chunk)
        assert 0 <= editor.cursor <= len(editor.text)
        shown, back = editor.view(columns)
        assert width(shown) < columns
        assert back <= width(shown)
        assert shown == safe_text(shown)

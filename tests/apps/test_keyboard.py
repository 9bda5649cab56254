"""Escapes in what is typed, and what a program has switched on at a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.apps.cli.keyboard import Escapes
from tieline.apps.cli.shown_state import ShownState


def typed(*pieces: bytes) -> tuple[bytes, str]:
    escapes, sent = Escapes(), b""
    for piece in pieces:
        more, escape = escapes.feed(piece)
        sent += more
        if escape:
            return sent, escape
    return sent, ""


@pytest.mark.parametrize(
    ("pieces", "sent", "escape"),
    [
        ((b"~", b"."), b"", "."),
        ((b"ls\r", b"~", b"."), b"ls\r", "."),
        ((b"a", b"~", b"."), b"a~.", ""),
        ((b"~", b"~", b"x"), b"~x", ""),
        ((b"~", b"x"), b"~x", ""),
        ((b"~", b"?"), b"", "?"),
        ((b"~",), b"", ""),
    ],
)
def test_a_tilde_counts_at_the_beginning_of_a_line(pieces: tuple[bytes, ...], sent: bytes, escape: str) -> None:
    assert typed(*pieces) == (sent, escape)


@given(st.lists(st.binary(min_size=16, max_size=60), max_size=5))
def test_what_is_pasted_is_never_searched(pieces: list[bytes]) -> None:
    assert typed(*pieces) == (b"".join(pieces), "")


@given(st.text(alphabet="ab \r\n", max_size=40))
def test_without_a_tilde_everything_is_sent(text: str) -> None:
    assert typed(*(bytes([byte]) for byte in text.encode())) == (text.encode(), "")


def test_what_was_switched_on_is_switched_off() -> None:
    state = ShownState()
    state.see(b"text \x1b[?1049h\x1b[?25l\x1b[?1000;1006h more")
    undone = state.undo()
    for expected in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?1006l"):
        assert expected in undone


def test_what_was_switched_off_again_needs_nothing() -> None:
    state = ShownState()
    state.see(b"\x1b[?1049h")
    state.see(b"\x1b[?10")
    state.see(b"49l")
    assert state.undo() == b""

"""What others wrote reaches a terminal as words and nothing else."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.wire.safe_text import is_unsafe, safe_json, safe_lines, safe_text


@pytest.mark.parametrize(
    "text",
    ["hello, world", "Grüße, Ωμέγα, 你好, שלום, مرحبا, नमस्ते", "👩‍🚀 and 🏳️‍🌈", "می‌خواهم", "café", "a\u00a0b"],
)
def test_ordinary_text_of_any_script_is_left_as_it_is(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;ZWNobyBoaQ==\x07", "␛]52;c;ZWNobyBoaQ==␇"),
        ("\x1b[2J\x1b[H", "␛[2J␛[H"),
        ("harmless\r\x1b[Kevil", "harmless␍␛[Kevil"),
        ("one\ntwo\tthree", "one␊two␉three"),
        ("\x7f\x00", "␡␀"),
        ("\x9b31m", "\ufffd31m"),  # C1 CSI, which some terminals obey
        ("gpj.\u202eexe", "gpj.\ufffdexe"),
        ("\u2066a\u2069", "\ufffda\ufffd"),
        ("a\u2028b\u2029c\u0085d", "a\ufffdb\ufffdc\ufffdd"),
        ("\U000e0041", "\ufffd"),
        ("\udc80", "\ufffd"),
    ],
)
def test_what_would_act_on_a_terminal_becomes_a_sign(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_every_unsafe_character_that_unicode_knows_is_caught_by_the_fast_path_too() -> None:
    for point in range(sys.maxunicode + 1):
        char = chr(point)
        if is_unsafe(char):
            assert not char.isprintable()
            assert not is_unsafe(safe_text(char))


@given(st.text())
def test_nothing_unsafe_is_left_and_the_length_is_kept(text: str) -> None:
    shown = safe_text(text)
    assert len(shown) == len(text)
    assert not any(is_unsafe(char) for char in shown)
    assert safe_text(shown) == shown


def test_several_lines_stay_several_lines() -> None:
    assert safe_lines("one\r\ntwo\n\n\tthree\x1b") == ["one", "two", "", "    three␛"]
    assert safe_lines("") == [""]


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_safe_json_is_the_same_document(value: object) -> None:
    plain = json.dumps(value, ensure_ascii=False, indent=2)
    safe = safe_json(plain)
    assert json.loads(safe) == value
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in safe if char not in "\n\u200c\u200d")

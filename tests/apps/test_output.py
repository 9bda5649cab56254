"""Tables, times and messages as a person reads them."""

import time

import pytest

from tieline.apps.cli import output


def test_columns_line_up_even_with_wide_letters() -> None:
    lines = output.table([["ada", 3], ["日本", 1200]], ("NAME", "UNREAD"), right=("UNREAD",))
    assert lines == ["NAME  UNREAD", "ada        3", "日本    1200"]


def test_a_row_that_does_not_fit_a_terminal_goes_on_below_indented(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "columns", lambda: 30)
    output.print_table([["ada", "run", f"make{' ' * 20}bob  run"]], ("WHO", "KIND", "COMMAND"))
    assert capsys.readouterr().out.splitlines() == ["WHO  KIND  COMMAND", "ada  run   make", "    bob  run"]


def test_a_cell_cannot_break_its_row() -> None:
    assert output.table([["a\nb\x1b[2J"]], ("NAME",)) == ["NAME", "a␊b␛[2J"]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"), (3 << 40, "3.0 TiB")]
)
def test_sizes(count: int, shown: str) -> None:
    assert output.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (59.9, "59 s"), (3599, "59 min"), (7200, "2 h"), (7800, "2 h 10 min"), (180_000, "2 d 2 h")],
)
def test_ages(seconds: float, shown: str) -> None:
    assert output.age(seconds) == shown


def test_a_message_of_several_lines_cannot_pass_for_several_messages() -> None:
    at = int(time.mktime((2026, 11, 20, 22, 1, 5, 0, 0, -1)) * 1000)
    lines = output.message_lines(at, "eve", "hi\n22:02 ada: I agree\x1b[A", short=True)
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines] == [
        "22:01 eve: hi",
        "      | 22:02 ada: I agree␛[A",
    ]


def test_a_long_message_cannot_pass_for_two_at_the_edge_of_the_terminal() -> None:
    at = int(time.mktime((2026, 11, 20, 22, 1, 5, 0, 0, -1)) * 1000)
    text = f"hi{' ' * 24}22:02 ada: I agree with every word\nand a second line that is too long"
    lines = output.message_lines(at, "eve", text, short=True, columns=40)
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines] == [
        "22:01 eve: hi                          ".rstrip(),
        "        22:02 ada: I agree with every",
        "        word",
        "      | and a second line that is too",
        "        long",
    ]


@pytest.mark.parametrize("line", ["x" * 200, "日本" * 60, "a b " * 60, "e\u0301" * 120, "x" * 30 + " " * 90 + "y"])
@pytest.mark.parametrize("columns", [20, 39, 80])
def test_what_is_folded_fits_and_nothing_of_it_is_lost(line: str, columns: int) -> None:
    pieces = output.folded(line, columns, "    ")
    assert max(map(output.width, pieces)) <= columns
    assert all(piece.startswith("    ") for piece in pieces[1:])
    assert "".join(pieces).replace(" ", "") == line.replace(" ", "")


def test_json_is_one_line_with_bytes_and_without_anything_that_acts(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"text": "grün \u202e\x9b", "data": b"\x00\xff"})
    assert capsys.readouterr().out == '{"text":"grün \\u202e\\u009b","data":"AP8="}\n'


@pytest.mark.parametrize("at", [10**30, -(10**30)])
def test_a_time_that_no_calendar_has_is_none_and_no_end_of_the_program(at: int) -> None:
    assert output.message_lines(at, "ada", "hello")[0].startswith("--:-- ")

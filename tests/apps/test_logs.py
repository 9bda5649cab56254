"""The log tells everything but secrets, and nothing in it acts on the terminal that shows it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tieline.apps import logs


@pytest.fixture(autouse=True)
def root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    ours = logging.getLogger("tieline")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def logged(as_json: bool, message: str, *arguments: object, error: Exception | None = None) -> str:
    out = io.StringIO()
    logs.set_up("info", as_json=as_json, stream=out)
    logging.getLogger("tieline.test").warning(message, *arguments, exc_info=error)
    return out.getvalue()


def test_text_is_one_line_with_time_level_and_place() -> None:
    line = logged(False, "ada left %s", "lobby")
    assert line.endswith("Z warning tieline.test: ada left lobby\n")
    assert line.startswith("20")


def test_a_forged_line_or_escape_sequence_stays_inside_its_line() -> None:
    line = logged(False, "name %s refused", "x\n2026-01-01 info root: all is well\x1b[2J")
    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_json_is_one_object_per_line_and_keeps_the_traceback() -> None:
    try:
        raise ValueError("no\x1b[2J")
    except ValueError as error:
        line = logged(True, "broken", error=error)
    entry = json.loads(line)
    assert entry["level"] == "warning"
    assert entry["message"] == "broken"
    assert "ValueError" in entry["error"]
    assert "\x1b" not in line


@pytest.mark.parametrize("as_json", [True, False])
def test_a_ticket_is_logged_without_its_secret(as_json: bool) -> None:
    ticket = "tieline://lab:7788/ada?pin=abcd#id-s3cr3t"
    try:
        raise ValueError(ticket)
    except ValueError as error:
        text = logged(as_json, "used %s", ticket, error=error)
    assert "s3cr3t" not in text
    assert text.count("tieline://lab:7788/ada?pin=abcd#…") == 2


def test_less_than_the_level_is_not_logged() -> None:
    out = io.StringIO()
    logs.set_up("warning", as_json=False, stream=out)
    logging.getLogger("tieline.test").info("not this")
    logging.getLogger("asyncio").info("nor this")
    assert out.getvalue() == ""

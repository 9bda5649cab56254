"""What a server logs: one event per line on stderr, as text or as JSON.

Never a secret, and never a raw control character, whoever caused the event.
"""

import json
import logging
import re
import sys
import time
from typing import TextIO

from tieline.wire.safe_text import safe_json, safe_text

# A ticket's secret is what follows the '#'. Nothing should log one; if something does, it stops here.
_TICKET_SECRET = re.compile(r"(tieline://[^\s#]*#)\S+")


def set_up(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Send the log of everything of ours, and warnings of everybody else, to `stream` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("tieline").setLevel(level.upper())


class TextLines(logging.Formatter):
    """`2026-11-20T22:01:05.123Z warning tieline.login: what happened`, a traceback indented below it."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname.lower()} {record.name}: {_message(record)}"
        return "\n".join([head, *(f"    {safe_text(line)}" for line in _traceback(self, record).splitlines())])


class JsonLines(logging.Formatter):
    """One object per line: time, level, logger, message, and error (a traceback) when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        traceback = _traceback(self, record)
        if traceback:
            entry["error"] = traceback
        return safe_json(json.dumps(entry, ensure_ascii=False))


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _message(record: logging.LogRecord) -> str:
    return without_secrets(safe_text(record.getMessage()))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return without_secrets(formatter.formatException(record.exc_info)) if record.exc_info else ""


def without_secrets(text: str) -> str:
    """The text with the secret part of any ticket in it struck out."""
    return _TICKET_SECRET.sub(r"\1…", text)

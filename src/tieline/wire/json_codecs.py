"""Codecs of JSON: a value for each line, or values that follow one another with nothing between them. Pure."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from tieline.errors import LimitExceeded, ProtocolError
from tieline.wire.codecs import require_limit
from tieline.wire.inbox import MORE, Inbox

_SPACE = b" \t\r\n"
_STRUCTURE = re.compile(rb'["\[\]{}]')
_STRING_END = re.compile(rb"[\"\\]")
_NUMBER_END = re.compile(rb"[^-+.0-9eE]")
_LITERALS = {b"t": 4, b"f": 5, b"n": 4}


def _encode(codec: str, message: object, limit: int | None) -> bytes:
    try:
        data = msgspec.json.encode(message)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ProtocolError(f"{codec} cannot send this {type(message).__name__}: {error}", remote=False) from error
    if limit is not None and len(data) > limit:
        raise LimitExceeded(f"{codec} message", got=len(data), limit=limit)
    return data


def _decode(codec: str, text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"{codec} read what is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A JSON value on each line; blank lines are nothing. `limit` is in bytes, None takes the link's (`Limits.frame`).

    A JSON null arrives as None.
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        require_limit("JsonLines", self.limit)

    def encode(self, message: Any) -> bytes:
        return _encode("JsonLines", message, self.limit) + b"\n"

    def decode(self, inbox: Inbox) -> Any:
        while True:
            line = inbox.until(b"\n", self.limit, "JsonLines message")
            if line is MORE:
                if not inbox.ended or not inbox:
                    return MORE
                line = inbox.exactly(len(inbox))
                assert line is not MORE
            if line.strip():
                return _decode("JsonLines", line)


@dataclass(slots=True)
class _Scan:
    """How far a value was looked at: kept with the bytes, so that ones that trickle in are looked at once each."""

    at: int = 1
    depth: int = 0
    in_string: bool = False


@dataclass(frozen=True, slots=True)
class JsonValues:
    """JSON values that follow one another, with white space or nothing between: two in one packet are two values.

    A bare number ends only with what follows it, so one is sent with a newline after it; all else ends by itself.
    A JSON null arrives as None. `limit` is in bytes, None takes the link's (`Limits.frame`).
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        require_limit("JsonValues", self.limit)

    def encode(self, message: Any) -> bytes:
        data = _encode("JsonValues", message, self.limit)
        return data + b"\n" if data[-1:].isdigit() else data

    def decode(self, inbox: Inbox) -> Any:
        scan = inbox.note
        if not isinstance(scan, _Scan):
            if not self._begin(inbox):
                return MORE
            scan = inbox.note = _Scan()
        size = self._size(inbox, scan)
        limit = self.limit or inbox.limit
        if (size or len(inbox)) > limit:
            raise LimitExceeded("JsonValues message", got=size or len(inbox), limit=limit)
        value = inbox.exactly(size) if size else MORE
        return MORE if value is MORE else _decode("JsonValues", value)

    def _begin(self, inbox: Inbox) -> bool:
        """Take the white space away; whether a value begins after it."""
        with inbox.view() as view:
            space = next((at for at, byte in enumerate(view) if byte not in _SPACE), len(view))
        inbox.exactly(space)
        return len(inbox) > 0

    def _size(self, inbox: Inbox, scan: _Scan) -> int:
        """Bytes of the value that inbox begins with; 0 while its end is not here."""
        first = inbox.peek(1)
        if first in _LITERALS:
            size = _LITERALS[first]
            return size if len(inbox) >= size else 0
        with inbox.view() as view:
            if first in b'[{"':
                if scan.at == 1:
                    scan.depth, scan.in_string = int(first != b'"'), first == b'"'
                return _nested(view, scan)
            if first not in b"-0123456789":
                raise ProtocolError(f"JsonValues read what is not JSON: no value begins with {first!r}")
            return _number(view, scan, inbox.ended)


def _nested(view: memoryview, scan: _Scan) -> int:
    while True:
        found = (_STRING_END if scan.in_string else _STRUCTURE).search(view, scan.at)
        if found is None:
            scan.at = len(view)
            return 0
        mark, scan.at = found[0], found.end()
        if mark == b"\\":
            if scan.at == len(view):  # what it escapes has not come: look at both again
                scan.at -= 1
                return 0
            scan.at += 1
        elif mark == b'"':
            scan.in_string = not scan.in_string
        else:
            scan.depth += 1 if mark in b"[{" else -1
        if scan.depth == 0 and not scan.in_string:
            return scan.at


def _number(view: memoryview, scan: _Scan, ended: bool) -> int:
    found = _NUMBER_END.search(view, scan.at)
    if found is not None:
        return found.start()
    scan.at = len(view)
    return scan.at if ended else 0

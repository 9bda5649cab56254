"""What a request for a file asks for: all of it, a part, or nothing because it has it already; what part of one it
sends (RFC 9110, 13 and 14).

Pure: headers and facts in, a decision out. Conditions are looked at in the order the RFC gives (13.2.2).
"""

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

import msgspec

from tieline.errors import InvalidArgument

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,20})\s*-\s*(\d{0,20})", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


class Decision(msgspec.Struct, frozen=True):
    """`status` is 200, 206, 304, 412 or 416; the bytes from `start` to before `stop` are the answer."""

    status: int
    start: int = 0
    stop: int = 0


def names_a_tag(headers: Mapping[str, str]) -> bool:
    """Whether the answer depends on the file's tag, so that it has to be known first."""
    return any(
        '"' in headers.get(name, "") for name in ("If-Match", "If-None-Match", "If-Range")
    )  # the * of the first two asks for no tag


def rest_of(texts: Sequence[str], length: int | None) -> tuple[int, int | None]:
    """Where in its file a body of `length` bytes begins, by its Content-Range headers, and the size of the file; None
    when nobody says. What is not the rest of a file is refused: kept as a whole it would be a broken one (14.5)."""
    if not texts:
        return 0, length
    found = _CONTENT_RANGE.fullmatch(texts[0].strip()) if len(texts) == 1 else None
    if found is None:
        raise InvalidArgument("a Content-Range to put is `bytes FIRST-LAST/SIZE`, with numbers, and there is one of it")
    first, last, size = (int(number) for number in found.groups())
    if last != size - 1 or first > last:
        raise InvalidArgument(f"what is put goes to the end of its file: bytes {first}-{size - 1}/{size}")
    if length != size - first:
        raise InvalidArgument(f"the rest from {first} of {size:,} bytes has a Content-Length of {size - first}")
    return first, size


def decide(method: str, headers: Mapping[str, str], size: int, tag: str, modified: int) -> Decision:
    """`tag` as it stands in an ETag header, empty when it is not known; `modified` in unix seconds."""
    failed = _precondition(method, headers, tag, modified)
    if failed is not None:
        return Decision(failed)
    if method == "GET" and "Range" in headers and _range_holds(headers, tag, modified):
        part = _part(headers["Range"], size)
        if part is not None:
            return part
    return Decision(200, 0, size)


def _precondition(method: str, headers: Mapping[str, str], tag: str, modified: int) -> int | None:
    reading = method in ("GET", "HEAD")
    if "If-Match" in headers:
        if not _matches(headers["If-Match"], tag, strong=True):
            return 412
    elif (unchanged := _date(headers.get("If-Unmodified-Since"))) is not None and modified > unchanged:
        return 412
    if "If-None-Match" in headers:
        if _matches(headers["If-None-Match"], tag, strong=False):
            return 304 if reading else 412
    elif reading and (since := _date(headers.get("If-Modified-Since"))) is not None and modified <= since:
        return 304
    return None


def _range_holds(headers: Mapping[str, str], tag: str, modified: int) -> bool:
    """A part is wanted only of what the client has the rest of; else it gets all (RFC 9110, 13.1.5)."""
    condition = headers.get("If-Range")
    if condition is None:
        return True
    if '"' in condition:
        return bool(tag) and condition.strip() == tag
    return _date(condition) == modified


def _part(text: str, size: int) -> Decision | None:
    """One range of bytes. None for what a server may ignore: several ranges, other units, nonsense (14.2)."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2] or size) + 1)
        if found[2] and int(found[2]) < start:
            return None
    return Decision(206, start, stop) if start < stop else Decision(416, 0, size)


def _matches(text: str, tag: str, *, strong: bool) -> bool:
    if text.strip() == "*":
        return True
    return bool(tag) and any(found[2] == tag and not (strong and found[1]) for found in _TAG.finditer(text))


def _date(text: str | None) -> int | None:
    """Unix seconds; None for what is no date, which is ignored (13.1.3)."""
    if text is None:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None

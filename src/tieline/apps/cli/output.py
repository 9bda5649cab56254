"""What commands print: data on stdout, talk on stderr. Whatever others wrote passes through `safe_text` here."""

import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import click

from tieline.wire.safe_text import safe_json, safe_lines, safe_text


def note(text: str) -> None:
    """A sentence to the person at the keyboard. Where it cannot be written (a full disk), what was done stays done."""
    with suppress(OSError):
        click.echo(text, err=True)


def print_json(value: Any, *, pretty: bool = False) -> None:
    """One JSON document; on one line unless `pretty`. Bytes become base64 and times ISO 8601."""
    import msgspec

    document = msgspec.json.encode(value)
    if pretty:
        document = msgspec.json.format(document, indent=2)
    click.echo(safe_json(document.decode()))


def print_table(rows: Iterable[Sequence[object]], heads: Sequence[str], *, right: Sequence[str] = ()) -> None:
    """Columns aligned by width; those named in `right` to the right. The last column is as long as it is.

    What does not fit a terminal goes on below, indented: a row begins where a line does, and nothing else.
    """
    for line in table(rows, heads, right=right):
        for piece in folded(line, columns(), "    "):
            click.echo(piece)


def table(rows: Iterable[Sequence[object]], heads: Sequence[str], *, right: Sequence[str] = ()) -> list[str]:
    """The lines of such a table, its heads first."""
    cells = [list(heads), *([safe_text(str(cell)) for cell in row] for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(heads))]
    return [
        "  ".join(_pad(cell, size, head in right) for cell, size, head in zip(row, widths, heads, strict=True)).rstrip()
        for row in cells
    ]


def width(text: str) -> int:
    """Columns the text takes on a terminal: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(char) or char in "\u200c\u200d\ufe0f" else 2 if _is_wide(char) else 1
        for char in text
    )


def ending(text: str, columns: int) -> str:
    """The end of the text, behind a sign that there is more, if it does not fit."""
    if width(text) <= columns:
        return text
    while width(text) >= columns and text:
        text = text[1:]
    return f"…{text}"


def _is_wide(char: str) -> bool:
    import unicodedata

    return unicodedata.east_asian_width(char) in "WF"


def _pad(cell: str, size: int, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space


def columns() -> int | None:
    """How wide the terminal is that standard output goes to; None where it goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def size(count: float) -> str:
    """Bytes as people read them: 999 B, 1.2 KiB, 34 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def age(seconds: float) -> str:
    """A span of time as people read it: 5 s, 3 min, 2 h 10 min, 4 d 3 h."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


def clock(at: int, *, short: bool = False) -> str:
    """A server's time (unix ms) in this machine's zone; `--:--` for one that no calendar has."""
    try:
        when = time.localtime(at / 1000)
    except (OverflowError, OSError, ValueError):
        return "--:--"
    return time.strftime("%H:%M" if short else "%Y-%m-%d %H:%M:%S", when)


def message_lines(
    at: int, by: str, text: str, *, short: bool = False, place: str = "", columns: int | None = None
) -> list[str]:
    """A message as lines for a terminal: `10:15 ada: text`, or with a place `10:15 ada (to you): text`.

    Its further lines are indented, so that none can pass for another message; so is what does not fit `columns`, which
    the terminal would begin at its edge.
    """
    first, *more = safe_lines(text)
    head = f"{clock(at, short=short)} "
    who, where = safe_text(by), f" ({place})" if place else ""
    indent = " " * (len(head) + 2)
    said, *rest = folded(f"{head}{who}{where}: {first}", columns, indent)
    lines = [f"{head}{click.style(who, bold=True)}{said[len(head) + len(who) :]}", *rest]
    for line in more:
        lines += folded(f"{' ' * len(head)}| {line}", columns, indent)
    return lines


def folded(line: str, columns: int | None, indent: str) -> list[str]:
    """The line in pieces no wider than `columns`, at spaces where it has some.

    All but the first stand behind the indent, which takes a quarter of the columns at most.
    """
    if columns is None or columns < 16 or width(line) <= columns:
        return [line]
    indent = indent[: columns // 4]
    pieces, begin, space, used = [], 0, 0, 0
    for index, char in enumerate(line):
        used += width(char)
        if used > columns and char != " ":
            cut = space if space - begin > columns // 2 else index
            pieces.append(line[begin:cut].rstrip())
            begin, used = cut, len(indent) + width(line[cut : index + 1])
        if char == " ":
            space = index + 1
    return [pieces[0], *(indent + piece for piece in (*pieces[1:], line[begin:]))] if pieces else [line]

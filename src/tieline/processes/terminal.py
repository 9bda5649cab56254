"""A terminal for a program: its two ends, its size, and how a program is started on it."""

import fcntl
import os
import struct
import termios
from collections.abc import Sequence

SHELL = "/bin/sh"
# A session leader without a terminal gets the first one that it opens; then it becomes the program.
_ON_TERMINAL = 'exec <>"$0" >&0 2>&0; exec "$@"'
LARGEST = 1000
"Rows or columns: some programs hold a screen of that size in memory."


def open_terminal(rows: int, columns: int) -> tuple[int, int]:
    """Our end and the program's. Raises OSError."""
    ours, theirs = os.openpty()
    resize(ours, rows, columns)
    return ours, theirs


def resize(ours: int, rows: int, columns: int) -> None:
    """The program is told by SIGWINCH."""
    size = struct.pack("HHHH", *(max(1, min(number, LARGEST)) for number in (rows, columns)), 0, 0)
    fcntl.ioctl(ours, termios.TIOCSWINSZ, size)


def on_terminal(theirs: int, path: str, arguments: Sequence[str]) -> list[str]:
    """The command line for `SHELL` that runs a program on this terminal, as that of its session."""
    return ["sh", "-c", _ON_TERMINAL, os.ttyname(theirs), path, *arguments]

"""Bytes that a person typed, cut into lines. Pure: `feed()` bytes, `take()` lines; holds at most what it was fed.

Whatever comes is a line: CR LF, a lone LF, telnet's CR NUL; half-typed at the end; too long, or not UTF-8, and then it
says so. Keys that are no text (arrows, backspace, control characters) are applied or left out, as a terminal would.
"""

import re
from typing import NamedTuple

_HEAD = 256
"Bytes kept of a line that is too long: enough to see what it was."
# Arrow and function keys, pasting marks (ECMA-48: CSI and SS3 sequences), and what is no text.
_KEYS = re.compile("\x1b\\[[0-?]*+[ -/]*+[@-~]|\x1bO.|[\x00-\x07\x0b-\x1f\x80-\x9f]")


class Typed(NamedTuple):
    """One line, without its end."""

    text: str
    too_long: bool = False
    "The text is the beginning only."
    replaced: bool = False
    "Some of it was not UTF-8 and is U+FFFD now."


class LineReader:
    """`limit` is the longest line in bytes; it may be changed between lines."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = bytearray()
        self._searched = 0  # so much of `_held` has no line end in it
        self._skipping = False  # the rest of a line that was too long
        self._after_cr = False

    @property
    def held(self) -> int:
        """Bytes that are not taken yet."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        if not data:
            return
        if self._after_cr and data[0] == 0:
            data = b"\n" + data[1:]
        self._after_cr = data[-1] == 0x0D
        if b"\r\0" in data:
            data = data.replace(b"\r\0", b"\n")
        if self._skipping:
            _, end, data = data.partition(b"\n")
            self._skipping = not end
        self._held += data

    def take(self) -> Typed | None:
        """The next line, or None until more comes. A line that gets too long is given at once, its rest is left out."""
        end = self._held.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._held)
            if self._searched <= self.limit + 1:  # a CR may be the last of them
                return None
            self._skipping = True
        line = bytes(self._held[: len(self._held) if end < 0 else end]).removesuffix(b"\r")
        del self._held[: len(self._held) if end < 0 else end + 1]
        self._searched = 0
        return _typed(line, too_long=len(line) > self.limit)

    def rest(self) -> Typed | None:
        """At the end of input: the line that was not finished, if there is one."""
        line = bytes(self._held).removesuffix(b"\r")
        self._held.clear()
        self._searched = 0
        return _typed(line, too_long=len(line) > self.limit) if line else None


def _typed(line: bytes, *, too_long: bool) -> Typed:
    if too_long:
        return Typed(_plain(line[:_HEAD].decode(errors="ignore")), too_long=True)
    try:
        return Typed(_plain(line.decode()))
    except UnicodeDecodeError:
        return Typed(_plain(line.decode(errors="replace")), replaced=True)


def _plain(text: str) -> str:
    """Backspaces erase, tabs stay, other keys that write nothing leave nothing."""
    if text.isprintable():
        return text
    text = _KEYS.sub("", text)
    return _erase(text) if "\b" in text or "\x7f" in text else text


def _erase(text: str) -> str:
    kept: list[str] = []
    for char in text:
        if char not in "\b\x7f":
            kept.append(char)
        elif kept:
            kept.pop()
    return "".join(kept)

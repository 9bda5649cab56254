"""One line being typed, with the usual keys. Pure: bytes of a terminal go in, finished lines come out, and `view` says
what to show. Never reads or writes anything.
"""

import codecs
import re

from tieline.wire.safe_text import safe_text

from .output import width

# A key as terminals send it: an escape sequence (ECMA-48 CSI, or SS3), or one character.
_KEY = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\[O])|[^\x1b]", re.DOTALL)
_LONGEST_SEQUENCE = 32
"An escape that goes on longer is none."

_NAMES = {
    "\x01": "home",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x05": "end",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "\x02": "left",
    "\x1b[D": "left",
    "\x1bOD": "left",
    "\x06": "right",
    "\x1b[C": "right",
    "\x1bOC": "right",
    "\x10": "older",
    "\x1b[A": "older",
    "\x1bOA": "older",
    "\x0e": "newer",
    "\x1b[B": "newer",
    "\x1bOB": "newer",
    "\x7f": "rub_out",
    "\x08": "rub_out",
    "\x1b[3~": "delete",
    "\x15": "rub_out_all",
    "\x0b": "cut_rest",
    "\x17": "rub_out_word",
}


class LineEditor:
    """`text` and `cursor` are what is being typed; `ended` is True after Ctrl-D on an empty line."""

    def __init__(self) -> None:
        self.text = ""
        self.cursor = 0
        self.ended = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._past: list[str] = []
        self._at = 0

    def feed(self, data: bytes) -> list[str]:
        """Take what the terminal sent; return the lines finished by it."""
        self._pending += self._decoder.decode(data)
        finished = []
        for key in self._keys():
            if key in "\r\n":
                finished.append(self._finish())
            elif key == "\x04":
                self._end_or_delete()
            elif key in _NAMES:
                getattr(self, f"_{_NAMES[key]}")()
            elif key >= " " and len(key) == 1:
                self._insert(key)
        return finished

    def view(self, columns: int) -> tuple[str, int]:
        """What to show in so many columns, scrolled to hold the cursor; and how far the cursor is from its end."""
        before, after = safe_text(self.text[: self.cursor]), safe_text(self.text[self.cursor :])
        while before and width(before) >= columns:
            before = before[1:]
        while after and width(before + after) >= columns:
            after = after[:-1]
        return before + after, width(after)

    def _keys(self) -> list[str]:
        keys, position = [], 0
        while match := _KEY.match(self._pending, position):
            keys.append(match[0])
            position = match.end()
        rest = self._pending[position:]
        self._pending = rest if len(rest) < _LONGEST_SEQUENCE else ""
        return keys

    def _finish(self) -> str:
        line, self.text, self.cursor = self.text, "", 0
        if line and self._past[-1:] != [line]:
            self._past = [*self._past[-99:], line]
        self._at = len(self._past)
        return line

    def _insert(self, char: str) -> None:
        self.text = self.text[: self.cursor] + char + self.text[self.cursor :]
        self.cursor += 1

    def _end_or_delete(self) -> None:
        if self.text:
            self._delete()
        else:
            self.ended = True

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _left(self) -> None:
        self.cursor = max(self.cursor - 1, 0)

    def _right(self) -> None:
        self.cursor = min(self.cursor + 1, len(self.text))

    def _delete(self) -> None:
        self.text = self.text[: self.cursor] + self.text[self.cursor + 1 :]

    def _rub_out(self) -> None:
        self._rub_out_to(max(self.cursor - 1, 0))

    def _rub_out_all(self) -> None:
        self._rub_out_to(0)

    def _rub_out_word(self) -> None:
        self._rub_out_to(self.text[: self.cursor].rstrip().rfind(" ") + 1)

    def _rub_out_to(self, start: int) -> None:
        self.text = self.text[:start] + self.text[self.cursor :]
        self.cursor = start

    def _cut_rest(self) -> None:
        self.text = self.text[: self.cursor]

    def _older(self) -> None:
        self._recall(self._at - 1)

    def _newer(self) -> None:
        self._recall(self._at + 1)

    def _recall(self, at: int) -> None:
        if 0 <= at <= len(self._past):
            self._at = at
            self.text = self._past[at] if at < len(self._past) else ""
            self._end()

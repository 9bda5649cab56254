"""Text that other people wrote, made fit for a terminal: it may say anything, and do nothing.

Goes in: any text. Comes out: the same words, with everything that could move a cursor, hide, reorder or break a line
replaced by a visible sign. Pure; never raises; leaves ordinary text of every script and emoji as they are.
"""

import unicodedata

# ZWNJ and ZWJ are format characters, but Persian, Indic scripts and joined emoji cannot be written without them.
_ORDINARY_JOINERS = "\u200c\u200d"
# Control, format (bidi overrides, invisible tags), lone surrogates, line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_REPLACEMENT = "\ufffd"


def is_unsafe(char: str) -> bool:
    """Whether this one character may do something to a terminal or a reader other than show itself."""
    return unicodedata.category(char) in _UNSAFE_CATEGORIES and char not in _ORDINARY_JOINERS


class _Signs(dict[int, str]):
    """A table for str.translate, filled as characters are met; only unsafe ones are kept, so it stays small."""

    def __missing__(self, point: int) -> str:
        char = chr(point)
        if not is_unsafe(char):
            return char
        return self.setdefault(point, _sign(point))


def _sign(point: int) -> str:
    if point < 0x20:
        return chr(0x2400 + point)  # the Control Pictures block: ESC becomes ␛, newline becomes ␊
    return "\u2421" if point == 0x7F else _REPLACEMENT


_signs = _Signs()


def safe_text(text: str) -> str:
    """One line that is safe to print: control and format characters become visible signs, newlines and tabs too."""
    # isprintable() is false for every unsafe category, and true for nearly all that people write.
    return text if text.isprintable() else text.translate(_signs)


def safe_lines(text: str) -> list[str]:
    """The same for text of several lines: split at newlines only, tabs as spaces, each line safe. Never empty."""
    return [safe_text(line.removesuffix("\r").replace("\t", "    ")) for line in text.split("\n")]


def safe_json(document: str) -> str:
    """A JSON document with its unsafe characters written as \\u escapes: nothing is lost and nothing is done.

    Newlines are kept, because between values they are layout (inside strings JSON itself forbids them).
    """
    if document.isprintable():
        return document
    return "".join(_escape(char) if is_unsafe(char) and char != "\n" else char for char in document)


def _escape(char: str) -> str:
    point = ord(char)
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"

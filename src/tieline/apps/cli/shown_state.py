"""Which modes of this terminal a program there has switched on, so that nobody is left with them. Pure."""

import re

_SWITCH = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_TAIL = 16
_USUALLY_ON = frozenset({7, 25})
"Wrapping, and a cursor that is seen."
_NOTED = frozenset({1, 7, 25, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1047, 1049, 2004})
"Cursor keys, wrapping, cursor, other screen, keypad, mouse, focus, bracketed paste."


class ShownState:
    """`see` everything that is shown."""

    def __init__(self) -> None:
        self._changed: dict[int, bool] = {}
        self._tail = b""

    def see(self, data: bytes) -> None:
        data = self._tail + data
        for match in _SWITCH.finditer(data):
            for number in map(int, filter(None, match[1].split(b";"))):
                if number in _NOTED:
                    self._changed[number] = match[2] == b"h"
        self._tail = data[-_TAIL:]

    def in_a_line(self) -> bool:
        """Whether the cursor stands behind something, a prompt for instance."""
        return bool(self._tail) and not self._tail.endswith(b"\n")

    def undo(self) -> bytes:
        """What puts a terminal back as a shell expects it; nothing when there is nothing to undo."""
        wrong = [number for number, on in self._changed.items() if on != (number in _USUALLY_ON)]
        return b"".join(b"\x1b[?%d%c" % (number, b"h" if number in _USUALLY_ON else b"l") for number in wrong) + (
            b"\x1b[0m" if wrong else b""
        )

"""What telnet mixes into the bytes a person types (RFC 854). Pure: bytes in, what was typed out, and what to reply.

Nothing is ever offered to a caller who did not speak telnet first: to nc those bytes would be noise on the screen.
"""

IAC = 0xFF
_SE, _SB, _WILL, _WONT, _DO, _DONT = 240, 250, 251, 252, 253, 254
_ECHO = 1

HIDE_TYPING = bytes((IAC, _WILL, _ECHO))
"Says that we echo what is typed, and then we do not: how a password stays off the screen (RFC 857)."
SHOW_TYPING = bytes((IAC, _WONT, _ECHO))


class Telnet:
    """One caller. `spoken` is True once it sent a telnet command; `replies` are the bytes owed to it."""

    def __init__(self) -> None:
        self.spoken = False
        self.replies = bytearray()
        self._command = b""  # the beginning of one, cut off by the end of a read
        self._inside = False  # a subnegotiation, which is read over to its end

    def strip(self, data: bytes) -> bytes:
        """The bytes without telnet's own. A 0xFF that begins no command is left, to be found not to be UTF-8."""
        data, self._command = self._command + data, b""
        if IAC not in data and not self._inside:
            return data
        typed = bytearray()
        while data:
            text, found, data = data.partition(b"\xff")
            if not self._inside:
                typed += text
            if found:
                data = self._after_iac(data, typed)
        return bytes(typed)

    def _after_iac(self, data: bytes, typed: bytearray) -> bytes:
        """Take one command off `data`, whose IAC is gone already; an unfinished one is kept for the next read."""
        verb = data[0] if data else None
        if verb is None or (_WILL <= verb <= _DONT and len(data) < 2 and not self._inside):
            self._command = b"\xff" + data
            return b""
        if self._inside:
            self._inside = verb != _SE
        elif verb in (_DO, _WILL):
            self._answer(verb, data[1])
            return data[2:]
        elif verb in (_DONT, _WONT):
            self.spoken = True
            return data[2:]  # answering these too is how two programs never stop
        elif verb >= _SE and verb != IAC:
            self.spoken = True
            self._inside = verb == _SB
        else:
            typed.append(IAC)
            return data[1:] if verb == IAC else data
        return data[1:]

    def _answer(self, verb: int, option: int) -> None:
        """We do nothing of all that telnet can, except not to echo passwords."""
        self.spoken = True
        if (verb, option) != (_DO, _ECHO):
            self.replies += bytes((IAC, _WONT if verb == _DO else _DONT, option))

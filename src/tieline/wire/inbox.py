"""Bytes that have come and are not used yet: what a codec takes messages from. Pure.

Taking is all or nothing: what cannot be had whole yet is `MORE`, and nothing is lost or copied meanwhile.
"""

import enum
import struct
from typing import Final, Literal

from tieline.errors import LimitExceeded
from tieline.limits import DEFAULT


class _More(enum.Enum):
    MORE = "more"

    def __repr__(self) -> str:
        return "MORE"


More = Literal[_More.MORE]
MORE: Final = _More.MORE
"Says that the next message is not here whole yet. A value of its own, since None, '' and b'' are messages."


class Inbox:
    """`limit` is the longest message, for codecs that name none; `ended` says that nothing will be fed any more."""

    __slots__ = ("_data", "_searched", "_start", "ended", "limit", "note")

    def __init__(self, data: bytes = b"", *, limit: int = DEFAULT.frame, ended: bool = False) -> None:
        # bytes as long as they are used up before more comes, which is nearly always; a bytearray otherwise, because
        # appending to that, and deleting from its front, costs no copy of the rest.
        self._data: bytes | bytearray = data
        self._start = 0
        self._searched = 0
        self.limit = limit
        self.ended = ended
        self.note: object = None
        "A codec's own, about the message it is in the middle of; forgotten when bytes are taken or the codec changes."

    def __len__(self) -> int:
        return len(self._data) - self._start

    def __repr__(self) -> str:
        return f"<Inbox {len(self)} bytes{' ended' if self.ended else ''}>"

    def feed(self, data: bytes | memoryview) -> None:
        """Append a copy of `data`."""
        if not self._data:
            self._data = bytes(data)
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(memoryview(self._data)[self._start :])
        else:
            del self._data[: self._start]
        self._searched -= self._start
        self._start = 0
        self._data += data

    def exactly(self, size: int, skip: int = 0) -> bytes | More:
        """The next `size` bytes, after `skip` that are thrown away."""
        if size < 0 or skip < 0:
            raise ValueError(f"a negative size: {size} bytes after {skip}")
        data = self._data
        begin = self._start + skip
        end = begin + size
        if end > len(data):
            return MORE
        piece = data[begin:end]
        if end == len(data):  # _take(end), without the call
            self._data = b""
            end = 0
        self._start = self._searched = end
        self.note = None
        return piece if type(piece) is bytes else bytes(piece)

    def until(self, separator: bytes, limit: int | None = None, what: str = "message") -> bytes | More:
        """What stands before the next `separator`, which is thrown away. Raises LimitExceeded for `what`."""
        if limit is None:
            limit = self.limit
        start = self._start
        data = self._data
        at = data.find(separator, self._searched)
        if at < 0:
            # A separator may have come in part: look at that again, and at nothing else.
            self._searched = max(start, len(data) - len(separator) + 1)
            if self._searched - start > limit:
                raise LimitExceeded(what, got=self._searched - start, limit=limit)
            return MORE
        if at - start > limit:
            raise LimitExceeded(what, got=at - start, limit=limit)
        end = at + len(separator)
        piece = data[start:at]
        if end == len(data):  # _take(end), without the call
            self._data = b""
            end = 0
        self._start = self._searched = end
        self.note = None
        return piece if type(piece) is bytes else bytes(piece)

    def all(self) -> bytes | More:
        """Everything there is, at least one byte."""
        size = len(self._data) - self._start
        return self.exactly(size) if size else MORE

    def peek(self, size: int, skip: int = 0) -> bytes:
        """Up to `size` bytes, which stay."""
        begin = self._start + skip
        return bytes(self._data[begin : begin + size])

    def view(self, skip: int = 0) -> memoryview:
        """Everything after `skip`, which stays, uncopied. Release it before anything else is done here."""
        return memoryview(self._data)[self._start + skip :]

    def number(self, form: struct.Struct) -> int | More:
        """The number at the beginning, which stays."""
        if len(self._data) - self._start < form.size:
            return MORE
        value: int = form.unpack_from(self._data, self._start)[0]
        return value

    def clear(self) -> None:
        """Throw everything away."""
        self._take(len(self._data))

    def forget(self) -> None:
        """What was searched for is looked for no more: from now on another codec reads."""
        self._searched = self._start
        self.note = None

    def _take(self, end: int) -> None:
        """Bytes up to `end` are used. When those were all, the memory goes back."""
        if end == len(self._data):
            self._data = b""
            end = 0
        self._start = self._searched = end
        self.note = None

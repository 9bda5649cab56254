"""The newest output of a terminal, by byte position: who says what it has gets the rest, exactly, or is told of a gap.
Pure."""


class Ring:
    """Positions count all bytes that ever came, from 0."""

    __slots__ = ("_data", "_size", "start")

    def __init__(self, size: int) -> None:
        self._size = size
        self._data = bytearray()
        self.start = 0
        "Position of the oldest byte that is kept."

    @property
    def end(self) -> int:
        """Position of the next byte that comes."""
        return self.start + len(self._data)

    def append(self, data: bytes | memoryview) -> None:
        self._data += data
        if len(self._data) > 2 * self._size:  # not at every byte: moving what is kept costs
            self._drop(len(self._data) - self._size)

    def read(self, position: int, most: int) -> bytes:
        """Up to so many bytes from this position, which must be kept."""
        at = position - self.start
        return bytes(self._data[at : at + most])

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self.start += count

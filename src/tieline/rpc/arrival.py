"""An answer that must be dealt with at its place among the frames, before anything that came behind it."""

from collections.abc import Callable
from typing import Any


class Arrival:
    """Give it to `call()` as `returns`: `read(payload)` is called as the RESULT is read, and gives the call's value.

    Not called when nobody waits for the call any more.
    """

    __slots__ = ("read",)

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        self.read = read

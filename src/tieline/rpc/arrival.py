"""How answers become values: by a type, or by a function at the answer's very place among the frames."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec


class Arrival:
    """Give it to `call()` as `returns`: `read(payload)` is called as the RESULT is read, before anything that came
    behind it, and gives the call's value.

    Not called when nobody waits for the call any more.
    """

    __slots__ = ("read",)

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        self.read = read


def decoder(kind: Any) -> Callable[[bytes], Any]:
    """What reads an encoded value as `kind`: a type, or an Arrival."""
    if type(kind) is Arrival:
        return kind.read
    try:
        return _type_decoder(kind)
    except TypeError:  # not every annotation can be looked up
        return msgspec.msgpack.Decoder(kind).decode


@lru_cache(maxsize=256)
def _type_decoder(kind: Any) -> Callable[[bytes], Any]:
    return msgspec.msgpack.Decoder(kind).decode

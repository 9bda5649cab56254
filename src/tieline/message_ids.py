"""What a program calls its messages, so that one that is sent again is still one message."""

import os
import secrets
import time
from itertools import count

_RANDOM = 6
"Bytes that tell programs of one account apart: two that post in the same millisecond are taken for one in 2^48."


class _Ids:
    """Of one process. A time, and then what is in no other: a draw for each message would cost more than its call."""

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._mine, self._numbers = secrets.token_hex(_RANDOM), count()

    def next(self) -> str:
        return f"{time.time_ns() // 1_000_000:012x}{self._mine}{next(self._numbers):06x}"


_ids = _Ids()


def message_id() -> str:
    """A new id for `chat.post`. Kept from one try to the next, it makes a retry safe.

    It begins with the time: what a server stores together then stands together in its index of ids, whose pages would
    otherwise each be written again for a message or two (a room fills twice as fast so, and the more the fuller it is).
    """
    return _ids.next()

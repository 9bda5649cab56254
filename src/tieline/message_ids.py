"""What a program calls its messages, so that one that is sent again is still one message."""

import secrets
import time

_RANDOM = 10
"Bytes: two messages of one account and one millisecond are mistaken for one in 2^80 tries."


def message_id() -> str:
    """A new id for `chat.post`. Kept from one try to the next, it makes a retry safe.

    It begins with the time: what a server stores together then stands together in its index of ids, whose pages would
    otherwise each be written again for a message or two (a room fills twice as fast so, and the more the fuller it is).
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(_RANDOM)}"

"""What is told of programs and sessions, as it travels."""

import msgspec


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """How a command ended."""

    code: int
    "Its exit code; 128 and the signal's number when one ended it, as a shell says it."
    signal: str = ""
    "SIGKILL, SIGSEGV, …"


class At(msgspec.Struct, frozen=True, tag="at"):
    """Of a session: the byte that follows in the stream has this position; so many before it were skipped."""

    position: int
    skipped: int = 0


class Left(msgspec.Struct, frozen=True, tag="left"):
    """This look at a session is over; the session goes on."""

    reason: str

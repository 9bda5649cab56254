"""How a command ends, as a number for scripts: the one table, and the one place where errors become numbers."""

from enum import IntEnum

from tieline.errors import (
    ConfigError,
    DeadlineExceeded,
    Denied,
    InvalidArgument,
    LinkError,
    LoginError,
    TielineError,
    Unavailable,
)


class ExitCode(IntEnum):
    """Each has one meaning in every command."""

    about: str

    def __new__(cls, value: int, about: str) -> "ExitCode":
        code = int.__new__(cls, value)
        code._value_ = value
        code.about = about
        return code

    OK = 0, "Done, and what should be stored is stored."
    FAILED = 1, "The server was asked and said no for another reason than those below, or something broke."
    USAGE = 2, "The command, an option, a setting, an address or a profile cannot be used as it is."
    UNREACHABLE = 3, "No server there, or the connection to it was lost."
    REFUSED = 4, "Login refused, another certificate than the pinned one, or not allowed."
    DEADLINE = 5, "No answer within --timeout; whether the work was done is not known."
    INTERRUPTED = 130, "Ended by Ctrl-C."
    BROKEN_PIPE = 141, "The program reading the output went away, as `head` does."


# The first that fits decides, so narrower kinds stand above wider ones.
_BY_ERROR: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (ConfigError, ExitCode.USAGE),
    (InvalidArgument, ExitCode.USAGE),
    (LinkError, ExitCode.UNREACHABLE),
    (Unavailable, ExitCode.UNREACHABLE),
    (LoginError, ExitCode.REFUSED),
    (Denied, ExitCode.REFUSED),
    (DeadlineExceeded, ExitCode.DEADLINE),
    (TimeoutError, ExitCode.DEADLINE),
    (BrokenPipeError, ExitCode.BROKEN_PIPE),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (TielineError, ExitCode.FAILED),
    (OSError, ExitCode.FAILED),
)


def exit_code(error: BaseException) -> ExitCode | None:
    """The number for an error that a command may meet; None for one that only a bug can raise."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), None)

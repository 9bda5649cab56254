"""Why a command could not be run, or its end is not known: a sentence, and the exit code that stands for it."""

from tieline.errors import DeadlineExceeded, Denied, NotFound

GONE = 255
"The command could not be run, or its end is not known: this side's trouble, never the command's."
NO_COMMANDS = "this server runs no commands; its owner starts it with `tieline serve --allow-shell`"
TIMED_OUT, CANNOT_RUN, NO_COMMAND = 124, 126, 127


def outcome(error: Exception, timeout: float | None) -> tuple[str, int]:
    """The sentence and the code for whatever was raised; `timeout` is the command's own."""
    match error:
        case DeadlineExceeded():
            return f"the command did not end within {timeout or 0:g} s and was ended", TIMED_OUT
        case NotFound(data={"method": "shell.run"}):
            return NO_COMMANDS, GONE
        case NotFound(data={"machine": "server"}):  # as rules and the audit call it
            return f"{error}; without --on it is the server's own", GONE
        case NotFound(data={"command": str(name)}):
            # As one word, as ssh would have it.
            return f"{error}; to have sh read it, use --shell" if " " in name else str(error), NO_COMMAND
        case Denied(data={"command": _}):
            return str(error), CANNOT_RUN
        case OSError(strerror=str(reason)):
            return f"{error.filename}: {reason}" if error.filename else reason, GONE
        case _:
            return str(error), GONE

"""The entry point: runs a command, and turns however it ended into one sentence on stderr and an exit code."""

import atexit
import errno
import os
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from tieline.errors import DialFailed, not_utf8
from tieline.wire.safe_text import safe_text

from .commands import tieline
from .exit_codes import ExitCode, exit_code
from .output import note

PROGRAM = "tieline"
CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"Of a file that was opened by name Python says which; of a command's own output it does not."


def main() -> None:
    """The `tieline` program."""
    _open_closed()
    # A character the terminal cannot show, or a lone surrogate, is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if "_TIELINE_COMPLETE" in os.environ:
        tieline.main(prog_name=PROGRAM)  # a shell asks for completions; click answers and exits
    _leave(_flush(run(sys.argv[1:])))


def _open_closed() -> None:
    """A standard descriptor that is closed becomes /dev/null: the link would get its number, and be taken for it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free is this one
            if descriptor:
                stream = open(descriptor, "w", closefd=False)  # noqa: SIM115 - it is there until the end
                setattr(sys, "stdout" if descriptor == 1 else "stderr", stream)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; never raises but for what only a bug can raise."""
    try:
        with tieline.make_context(PROGRAM, list(arguments)) as context:
            return int(tieline.invoke(context) or ExitCode.OK)
    except click.exceptions.Exit as error:
        return error.exit_code
    except SystemExit as error:  # the programs of the gallery end by themselves
        return error.code if isinstance(error.code, int) else ExitCode.FAILED
    except click.Abort:
        return _interrupted()
    except click.ClickException as error:
        with suppress(OSError):  # nobody can be told
            error.show()
        return ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
    except BrokenPipeError:
        return ExitCode.BROKEN_PIPE
    except KeyboardInterrupt:
        return _interrupted()
    except UnicodeEncodeError as error:
        complain(not_utf8(error))
        return ExitCode.USAGE
    except Exception as error:  # those with an exit code are told in a sentence, the others are raised on
        code = exit_code(error)
        if code is None:
            raise
        complain(error)
        return code


def complain(error: BaseException) -> None:
    """Say on stderr, in one line, what went wrong."""
    note(f"{PROGRAM}: {safe_text(sentence(error))}")


def sentence(error: BaseException) -> str:
    """What to tell a person about an error that a command may meet."""
    if isinstance(error, DialFailed):
        return f"{str(error).rstrip('.')} (`tieline doctor {shlex.quote(error.address)}` finds out more)"
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if error.errno in CANNOT_WRITE else "")
        return f"{where}: {error.strerror}" if where else error.strerror
    return str(error) or type(error).__name__


def _interrupted() -> int:
    # The shell's prompt should not stand behind "^C".
    if sys.stderr.isatty():
        note("")
    return ExitCode.INTERRUPTED


def _flush(code: int) -> int:
    """Hand the last output over now, while a vanished reader can still be told apart from a bug."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or ExitCode.BROKEN_PIPE
    except OSError as error:
        if not code:  # else it was told already, or something else is the trouble
            complain(error)
            code = ExitCode.FAILED
        _give_up_output()
    if code == ExitCode.BROKEN_PIPE or sys.stdout.closed:
        _give_up_output()
    return int(code)


def _give_up_output() -> None:
    # Python flushes once more while exiting; let that go nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _leave(code: int) -> NoReturn:
    """End the program without taking the interpreter down piece by piece: that takes a sixth of a short command.

    Not where somebody wants to be told what was left open (`python -X dev`), or a thread is to be waited for.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if sys.flags.dev_mode or not all(thread.daemon for thread in others):
        sys.exit(code)
    atexit._run_exitfuncs()
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # nobody is left to tell
            sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

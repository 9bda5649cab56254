"""The entry point: runs a command, and turns however it ended into one sentence on stderr and an exit code."""

import os
import shlex
import signal
import sys
from collections.abc import Sequence

import click

from tieline.errors import DialFailed
from tieline.wire.safe_text import safe_text

from .commands import tieline
from .exit_codes import ExitCode, exit_code

PROGRAM = "tieline"


def main() -> None:
    """The `tieline` program."""
    # A character the terminal cannot show, or a lone surrogate, is no reason to fail.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if "_TIELINE_COMPLETE" in os.environ:
        tieline.main(prog_name=PROGRAM)  # a shell asks for completions; click answers and exits
    code = run(sys.argv[1:])
    sys.exit(_flush(code))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; never raises but for what only a bug can raise."""
    try:
        with tieline.make_context(PROGRAM, list(arguments)) as context:
            return int(tieline.invoke(context) or ExitCode.OK)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
    except BrokenPipeError:
        return ExitCode.BROKEN_PIPE
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        complain(error)
        return code


def complain(error: BaseException) -> None:
    """Say on stderr, in one line, what went wrong."""
    click.echo(f"{PROGRAM}: {safe_text(sentence(error))}", err=True)


def sentence(error: BaseException) -> str:
    """What to tell a person about an error that a command may meet."""
    if isinstance(error, DialFailed):
        return f"{str(error).rstrip('.')} (`tieline doctor {shlex.quote(error.address)}` finds out more)"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _interrupted() -> int:
    # The shell's prompt should not stand behind "^C".
    if sys.stderr.isatty():
        click.echo(err=True)
    return ExitCode.INTERRUPTED


def _flush(code: int) -> int:
    """Hand the last output over now, while a vanished reader can still be told apart from a bug."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or ExitCode.BROKEN_PIPE
    except OSError as error:
        complain(error)
        code = code or ExitCode.FAILED
    if code == ExitCode.BROKEN_PIPE or sys.stdout.closed:
        # Python flushes once more while exiting; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return int(code)


if __name__ == "__main__":
    main()

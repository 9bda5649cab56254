"""However a command ends, it is one sentence and one documented number."""

import errno
import subprocess
import sys

import click
import pytest

from tieline import errors
from tieline.apps.cli import main
from tieline.apps.cli.commands import COMMANDS, tieline
from tieline.apps.cli.exit_codes import ExitCode, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("name", "is odd"), ExitCode.USAGE),
        (errors.AddressError("x", "is odd"), ExitCode.USAGE),
        (errors.InvalidArgument("text: expected str"), ExitCode.USAGE),
        (errors.DialFailed("lab:7788", "connection refused"), ExitCode.UNREACHABLE),
        (errors.LinkClosed(), ExitCode.UNREACHABLE),
        (errors.Unavailable("closing"), ExitCode.UNREACHABLE),
        (errors.LoginFailed(), ExitCode.REFUSED),
        (errors.PinMismatch("lab:7788", "a" * 64, "b" * 64), ExitCode.REFUSED),
        (errors.TooManyAttempts(3.0), ExitCode.REFUSED),
        (errors.Denied("needs admin"), ExitCode.REFUSED),
        (errors.DeadlineExceeded(), ExitCode.DEADLINE),
        (errors.NotFound("no such room"), ExitCode.FAILED),
        (errors.LimitExceeded("frame", got=2, limit=1), ExitCode.FAILED),
        (OSError(errno.ENOSPC, "No space left on device"), ExitCode.FAILED),
        (BrokenPipeError(), ExitCode.BROKEN_PIPE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
)
def test_each_error_has_its_number_and_is_one_line(
    error: BaseException,
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(tieline, "get_command", lambda context, name: click.Command(name, callback=fail))
    assert main.run(["anything"]) == code
    assert capsys.readouterr().err.count("\n") <= 1


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(ValueError()) is None
    monkeypatch.setattr(tieline, "get_command", lambda context, name: click.Command(name, callback=lambda: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        main.run(["anything"])


def test_what_a_server_says_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    main.complain(errors.NotFound("\x1b[2Jno\nroom"))
    assert capsys.readouterr().err == "tieline: ␛[2Jno␊room\n"


def test_every_error_of_ours_has_a_number() -> None:
    def kinds(kind: type) -> list[type]:
        return [kind, *(below for each in kind.__subclasses__() for below in kinds(each))]

    for kind in kinds(errors.TielineError):
        assert exit_code(kind.__new__(kind)) is not None


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_has_examples_fits_a_terminal_and_needs_no_server(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main.run([*command, "--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "Examples:" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "tieline " in shown


def test_a_wrong_option_or_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["rooms", "--nonsense"]) == ExitCode.USAGE
    assert main.run(["nonsense"]) == ExitCode.USAGE
    assert "nonsense" in capsys.readouterr().err


def test_help_is_fast_because_it_loads_no_machinery() -> None:
    program = (
        "import sys; from tieline.apps.cli.main import run; run(['--help']); "
        "print(','.join(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stderr.strip().split(","))
    heavy = {"asyncio", "aiohttp", "cryptography", "msgspec", "rich", "scramp", "sqlite3", "textual", "uvloop"}
    assert not loaded & heavy
    assert "tieline.server" not in loaded


def test_completion_is_printed_for_each_shell(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert main.run(["completion", shell]) == ExitCode.OK
        assert "_TIELINE_COMPLETE" in capsys.readouterr().out


def test_a_shell_gets_commands_completed() -> None:
    environment = {"_TIELINE_COMPLETE": "bash_complete", "COMP_WORDS": "tieline re", "COMP_CWORD": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tieline"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["plain,revoke"]


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    # Far more than a pipe holds, so that writing must meet the closed end.
    program = (
        "import click; from tieline.apps.cli import main, commands\n"
        "many = lambda: [click.echo('x' * 1000) for _ in range(1000)]\n"
        "commands.tieline.get_command = lambda context, name: click.Command(name, callback=many)\n"
        "import sys; sys.argv = ['tieline', 'many']; main.main()"
    )
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr is not None
    complaint = running.stderr.read()
    running.stderr.close()
    assert running.wait(60) == ExitCode.BROKEN_PIPE
    assert complaint == b""

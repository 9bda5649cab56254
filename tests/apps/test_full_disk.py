"""Whatever a command prints may not fit where it goes: then that is what it says, once, and with the code for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DEADLINE, Person, Serve, Serving

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
COMMANDS = [
    ["tail", "lobby"],
    ["tail", "lobby", "-f"],
    ["ls"],
    ["methods", "--openrpc"],
    ["accounts"],
    ["get", "/big", "-"],
    ["status", "--json"],
    ["call", "clock.now"],
    ["say", "lobby", "again", "--json"],
    ["put", "x", "/y", "--json"],
    ["doctor"],
    ["ls", "--help"],
    ["gallery"],
    ["gallery", "upper", "--listen", "tcp://127.0.0.1:0"],
]


def into_full(person: Person, *arguments: str, descriptor: int = 1) -> "subprocess.CompletedProcess[bytes]":
    """Run a command with this standard descriptor on a full disk; the other output comes back."""
    with FULL.open("wb", buffering=0) as full:
        outputs = {"stdout": full, "stderr": subprocess.PIPE} if descriptor == 1 else {"stderr": full, "stdout": -1}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [sys.executable, "-m", "tieline", *arguments],
            env={**person.environment, "PYTHONUNBUFFERED": ""},
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE,
            **outputs,
        )


def test_output_that_does_not_fit_is_one_sentence(
    server: Serving, owner: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").write_text("x")
    owner.out("say", "lobby", "hello")
    owner.out("put", "-", "/big", stdin="x" * 1_000_000)
    for command in COMMANDS:
        done = into_full(owner, *command)
        assert (done.returncode, done.stderr.decode()) == (
            1,
            "tieline: standard output: No space left on device\n",
        ), command
    assert owner.out("tail", "lobby", "-n", "1").endswith(": again\n")  # what was done stays done
    assert "y" in owner.out("ls").split()


def test_talk_that_does_not_fit_changes_nothing(server: Serving, owner: Person) -> None:
    assert into_full(owner, "say", "attic", "hello", descriptor=2).returncode == 0
    assert into_full(owner, "ls", "/nothing", descriptor=2).returncode == 1
    assert into_full(owner, "nonsense", descriptor=2).returncode == 2


def test_a_command_there_whose_output_does_not_fit_here_ends(serve: Serve, owner: Person) -> None:
    serve("--allow-shell")
    done = into_full(owner, "run", "-n", "--", "yes")
    assert (done.returncode, done.stderr) == (255, b"tieline: standard output: No space left on device\n")

"""The first moments of the program, which people interrupt as well."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DEADLINE, Environment, Person

_NEVER_LOADED = "import os, signal\nos.write(1, b'loading\\n')\nwhile True: signal.pause()\n"


@pytest.fixture
def slow(tmp_path: Path, owner: Person) -> Environment:
    """An environment in which a library takes for ever to load."""
    (tmp_path / "click.py").write_text(_NEVER_LOADED)
    return {**owner.environment, "PYTHONPATH": str(tmp_path)}


def test_ctrl_c_while_it_loads_is_no_traceback(slow: Environment) -> None:
    command = [sys.executable, "-m", "tieline", "run", "true"]
    with subprocess.Popen(command, env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"loading\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (-signal.SIGINT, b"")


def test_ctrl_c_that_is_ignored_stays_so(slow: Environment) -> None:
    """As for a job in the background of a shell without job control."""
    line = 'trap "" INT; exec "$0" -m tieline run true'
    with subprocess.Popen(
        ["sh", "-c", line, sys.executable], env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"loading\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (-signal.SIGTERM, b"")


def test_ctrl_c_is_the_programs_own_once_it_is_loaded() -> None:
    program = (
        "import signal; from tieline.apps.cli import start, main\n"
        "main.main = lambda: print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
        "start.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stdout == "True\n"

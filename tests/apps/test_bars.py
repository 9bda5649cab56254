"""The bars of a transfer, on terminals as wide and as narrow as people have them."""

import os
import pty
import subprocess
import sys
import termios

import pyte
import pytest

from .conftest import DEADLINE

PROGRAM = """
from tieline.apps.cli.moving import showing
from tieline.files import Progress
with showing(False) as report:
    report(Progress(1, 300 << 20, 12, 900 << 20, "a/file/whose/name/is/longer/than/all/that", 30 << 20, 90 << 20, 9.0))
    input()
"""


@pytest.mark.parametrize("columns", [40, 60, 76, 80, 120])
def test_a_bar_is_one_line_that_tells_the_time_left(columns: int) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (20, columns))
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=slave, stderr=slave, env=environment)
    os.close(slave)
    screen = pyte.Screen(columns, 20)
    stream = pyte.ByteStream(screen)
    try:
        while "than/all/that" not in "".join(screen.display):
            stream.feed(os.read(master, 4096))
        os.write(master, b"\n")
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    lines = [line.rstrip() for line in screen.display if line.strip()]
    assert len(lines) == 2, lines
    assert lines[0].startswith("1 of 12 files")
    assert ("MiB" in lines[0]) == (columns >= 76)
    assert all(":" in line for line in lines), lines

"""Talking at a real terminal: a pseudo-terminal with somebody typing at its other end."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Person, Serve, Serving

CTRL_C, CTRL_D = b"\x03", b"\x04"


class Terminal:
    """A terminal of 80 columns, and what has been shown on it."""

    def __init__(self, person: Person, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tieline", *arguments],
            env={**person.environment, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
        )

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for(self, pattern: str) -> str:
        """Read until what was shown since the last such call matches; what was shown up to there."""
        deadline = time.monotonic() + 30
        while not (match := re.search(pattern, self.shown)):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.shown!r}"
            if select.select([self.master], [], [], 0.5)[0]:
                self.shown += os.read(self.master, 4096).decode()
        seen, self.shown = self.shown[: match.end()], self.shown[match.end() :]
        return seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(server: Serving, owner: Person) -> Iterator[Terminal]:
    opened = Terminal(owner, "chat")
    yield opened
    opened.close()


def test_what_is_half_typed_survives_what_comes_in(terminal: Terminal, owner: Person) -> None:
    terminal.wait_for(r"lobby> $")
    terminal.type(b"half a tho")
    terminal.wait_for(r"lobby> half a tho$")
    owner.out("say", "lobby", "excuse me")
    seen = terminal.wait_for(r"lobby> half a tho$")
    # The prompt's line is cleared, the message takes it, and the prompt comes back below.
    assert re.search(r"\r\x1b\[K\d\d:\d\d .*excuse me\r\n.*lobby> half a tho$", seen, re.DOTALL)
    terminal.type(b"ught\x7ft\r")
    assert re.search(r"half a thought\r\n", terminal.wait_for(r"half a thought\r\n.*lobby> $"))
    assert owner.out("tail", "lobby", "-n", "1").endswith(": half a thought\n")


def test_ctrl_d_leaves_and_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.wait_for(r"lobby> $")
    assert termios.tcgetattr(terminal.slave)[3] & (termios.ICANON | termios.ECHO) == 0
    terminal.type(CTRL_D)
    assert terminal.process.wait(30) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_ctrl_c_leaves_without_a_traceback(terminal: Terminal) -> None:
    terminal.wait_for(r"lobby> $")
    terminal.type(b"never sent" + CTRL_C)
    assert terminal.process.wait(30) == 130
    assert termios.tcgetattr(terminal.slave) == terminal.before
    terminal.wait_for(r"\r\x1b\[K")
    assert "Traceback" not in terminal.shown


def test_commands_are_typed_after_a_slash(terminal: Terminal, owner: Person) -> None:
    terminal.wait_for(r"lobby> $")
    terminal.type(b"/help\r")
    terminal.wait_for(r"/quit +leave")
    terminal.type(b"/join attic\r")
    terminal.wait_for(r"attic> $")
    owner.out("say", "lobby", "not for the attic")
    owner.out("say", "attic", "for the attic")
    assert "not for" not in terminal.wait_for(r"for the attic\r\n")
    terminal.type(b"/topic dust\r/who\r")
    terminal.wait_for(r"attic: dust")
    terminal.wait_for(r"here: \w+")
    terminal.type(b"/quit\r")
    assert terminal.process.wait(30) == 0


def test_a_lost_server_is_told_and_what_was_typed_is_sent_when_it_is_back(
    terminal: Terminal, server: Serving, serve: Serve, owner: Person
) -> None:
    terminal.wait_for(r"lobby> $")
    server.stop()
    terminal.wait_for(r"trying again")
    terminal.type(b"are you back?\r")
    serve()
    terminal.wait_for(r": are you back\?\r\n")
    assert owner.out("tail", "lobby").count("are you back?") == 1


def test_what_a_pattern_stands_for_is_shown_before_it_is_removed(server: Serving, owner: Person) -> None:
    owner.out("mkdir", "/a1", "/a2")
    for answer, left in ((b"n\r", "a1/\na2/\n"), (b"y\r", "")):
        asking = Terminal(owner, "rm", "/a*")
        try:
            asking.wait_for(r"/a1\r\n/a2\r\nRemove these 2\? \[y/N\]: $")
            asking.type(answer)
            assert asking.process.wait(30) == (1 if left else 0)
        finally:
            asking.close()
        assert owner.out("ls") == f"{left}people/\nrooms/\n"


def test_who_mistypes_a_room_at_a_terminal_is_asked_before_one_is_made(server: Serving, owner: Person) -> None:
    for answer, code, said in ((b"n\r", 1, []), (b"y\r", 0, ["loby"])):
        asked = Terminal(owner, "say", "loby", "hi")
        try:
            asked.wait_for(r"There is no room loby yet, but lobby\. Make loby\? \[y/N\]: $")
            asked.type(answer)
            assert asked.process.wait(30) == code
        finally:
            asked.close()
        assert [line.split()[0] for line in owner.out("rooms").splitlines()[1:]] == said
    for room in ("loby", "builds"):  # it is there by now; and what is like no other is made as ever
        unasked = Terminal(owner, "say", room, "hi again")
        try:
            assert unasked.process.wait(30) == 0
        finally:
            unasked.close()


def test_names_in_the_bars_of_a_transfer_cannot_act_on_the_terminal(
    server: Serving, owner: Person, tmp_path: Path
) -> None:
    names = ("e\x1b]52;c;ZXZpbA==\x07", "two\nlines", "\u200fmark")
    (tmp_path / "source").mkdir()
    for name in names:
        (tmp_path / "source" / name).write_bytes(os.urandom(1 << 20))
    moving = Terminal(owner, "put", str(tmp_path / "source"), "/lab/")
    seen = moving.wait_for("2 failed")
    assert "mark" in seen
    for raw in ("\x1b]52", "two\n", "two\r\n", "\u200f"):
        assert raw not in seen
    moving.close()

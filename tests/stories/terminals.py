"""Terminals with somebody at them: one of pyte's, whose every byte is seen, and one of tmux's, as people have it."""

import asyncio
import fcntl
import os
import re
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

from .machines import DEADLINE


class Terminal:
    """A program on a terminal of 80 by 24. `seen` is every byte that it printed."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str], rows: int = 24, columns: int = 80) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.seen = bytearray()
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = os.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        # A session of its own whose terminal this is, so that it is told of the size.
        script = 'exec <>"$0" >&0 2>&0; exec "$@"'
        self.process = subprocess.Popen(
            ["sh", "-c", script, os.ttyname(theirs), *argv],
            env={**environment, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.set_blocking(self._ours, False)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def resize(self, rows: int, columns: int) -> None:
        self.screen.resize(rows, columns)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def type(self, text: str) -> None:
        rest = text.encode()
        while rest:
            try:
                rest = rest[os.write(self._ours, rest) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)

    async def shows(self, text: str) -> None:
        """Until it stands on the screen."""
        await self._until(lambda: any(text in line for line in self.screen.display), f"{text!r} on the screen")

    async def printed(self, pattern: bytes) -> None:
        """Until it has been printed at some time."""
        await self._until(lambda: re.search(pattern, self.seen) is not None, f"{pattern!r} printed")

    async def ended(self) -> int:
        await self._until(lambda: self.process.poll() is not None, "the end")
        await asyncio.sleep(0)
        self._read()
        return self.process.returncode

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal's settings are those it had."""
        return termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + DEADLINE
        while not condition():
            screen = "\n".join(self.screen.display)
            assert time.monotonic() < ends, f"{what} never came; the screen:\n{screen}"
            await asyncio.sleep(0.02)

    def _read(self) -> None:
        try:
            data = os.read(self._ours, 1 << 16)
        except (BlockingIOError, OSError):
            return
        self.seen += data
        self._stream.feed(data)


class Tmux:
    """A tmux of this test's own, with one window of 100 by 30."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._socket = folder / "tmux"
        self._environment = {name: value for name, value in environment.items() if name not in ("TMUX", "TERM")}
        # UTF-8, whatever the machine's own language is; and a size that somebody exported long ago.
        self._environment |= {"LC_ALL": "C.UTF-8", "LINES": "24", "COLUMNS": "80"}

    def start(self, command: str) -> None:
        self._run("-f", "/dev/null", "-u", "new-session", "-d", "-x", "100", "-y", "30", command)

    def keys(self, *keys: str) -> None:
        """Keys by tmux's names for them; other words are typed."""
        self._run("send-keys", *keys)

    def paste(self, text: bytes) -> None:
        """As with the mouse."""
        self._run("load-buffer", "-", given=text)
        self._run("paste-buffer", "-r")

    def resize(self, columns: int, rows: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        return self._run("capture-pane", "-p").decode()

    async def shows(self, *texts: str) -> None:
        await self.until(lambda screen: all(text in screen for text in texts), str(texts))

    async def prompts(self) -> None:
        """Until the shell waits for a command: many programs throw away what is typed while they end."""
        await self.until(lambda screen: screen.rstrip().splitlines()[-1:] == ["$"], "a prompt")

    async def until(self, condition: Callable[[str], bool], what: str) -> None:
        ends = time.monotonic() + DEADLINE
        while not condition(screen := self.screen):
            assert time.monotonic() < ends, f"{what} never came; the screen:\n{screen}"
            await asyncio.sleep(0.05)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False)

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["tmux", "-S", str(self._socket), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, env=self._environment, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
        return done.stdout

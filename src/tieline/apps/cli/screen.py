"""Where a conversation is shown and typed: a terminal with a prompt that stays whole, or a pipe without one."""

import asyncio
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

import click

from .line_editor import LineEditor
from .output import ending, width


class Screen(Protocol):
    """What a conversation needs. Lines given to `show` are safe already."""

    prompt: str

    @property
    def columns(self) -> int | None:
        """How wide it is; None where lines may be as long as they are."""

    def show(self, line: str) -> None:
        """Show a line, above whatever is being typed."""

    def typed(self) -> AsyncIterator[str]:
        """The lines that are typed, until the end of input."""


@contextmanager
def open_screen() -> Iterator[Screen]:
    """A terminal when both ends are one, else pipes. Leaving gives the terminal back as it was."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        with TerminalScreen.opened(sys.stdin.fileno(), sys.stdout) as screen:
            yield screen
    else:
        yield PipeScreen()


class PipeScreen:
    """Lines in, lines out."""

    columns = None

    def __init__(self) -> None:
        self.prompt = ""

    def show(self, line: str) -> None:
        click.echo(line)  # without colours where the other end is no terminal

    def typed(self) -> AsyncIterator[str]:
        from .stdin import stdin_lines

        return stdin_lines()


class TerminalScreen:
    """A prompt at the bottom; what comes in is printed above it, and what is half typed stays."""

    def __init__(self, keyboard: int, out: TextIO) -> None:
        self._keyboard = keyboard
        self._out = out
        self._editor = LineEditor()
        self._prompt = ""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    @classmethod
    @contextmanager
    def opened(cls, keyboard: int, out: TextIO) -> Iterator["TerminalScreen"]:
        """Take the terminal over: keys one by one, and no echo but ours. Ctrl-C still interrupts."""
        before = termios.tcgetattr(keyboard)
        screen = cls(keyboard, out)
        try:
            tty.setcbreak(keyboard)
            yield screen
        finally:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
            out.write("\r\x1b[K")
            out.flush()

    @property
    def prompt(self) -> str:
        return self._prompt

    @prompt.setter
    def prompt(self, text: str) -> None:
        self._prompt = text
        self._redraw()

    @property
    def columns(self) -> int:
        return shutil.get_terminal_size().columns

    def show(self, line: str) -> None:
        self._redraw(f"{line}\n")

    async def typed(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._keyboard, self._read)
        loop.add_signal_handler(signal.SIGWINCH, self._redraw)
        loop.add_signal_handler(signal.SIGCONT, self._resume)
        try:
            while (line := await self._lines.get()) is not None:
                yield line
        finally:
            loop.remove_reader(self._keyboard)
            loop.remove_signal_handler(signal.SIGWINCH)
            loop.remove_signal_handler(signal.SIGCONT)

    def _read(self) -> None:
        try:
            data = os.read(self._keyboard, 4096)
        except OSError:  # the terminal is gone
            data = b""
        for line in self._editor.feed(data):
            self._lines.put_nowait(line)
        if self._editor.ended or not data:
            asyncio.get_running_loop().remove_reader(self._keyboard)
            self._lines.put_nowait(None)
        self._redraw()

    def _resume(self) -> None:
        # After Ctrl-Z and `fg` the shell has put its own settings on the terminal.
        tty.setcbreak(self._keyboard)
        self._redraw()

    def _redraw(self, above: str = "") -> None:
        # What is typed has half of the line at least, and neither may reach the next one: only this one is cleared.
        prompt = ending(self._prompt, self.columns // 2)
        shown, back = self._editor.view(max(self.columns - width(prompt), 10))
        left = f"\x1b[{back}D" if back else ""
        self._out.write(f"\r\x1b[K{above}{prompt}{shown}{left}")
        self._out.flush()

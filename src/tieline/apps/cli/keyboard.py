"""A terminal in raw mode: every key goes to the program there, but for ~ at the beginning of a line."""

import asyncio
import os
import signal
import termios
import tty
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from tieline.limits import KiB

AHEAD = 256 * KiB
"Typed or pasted before it is sent; the terminal itself keeps what comes then."
HELP = "\r\n~.  leave; the session goes on\r\n~~  the character ~\r\n~?  this\r\nOnly at the beginning of a line.\r\n"


class Escapes:
    """Finds ~. and its like in what is typed. Pure: `feed` gives what is to be sent and which escape came."""

    def __init__(self) -> None:
        self._fresh = True  # at the beginning of a line
        self._held = False  # a ~ that may become an escape

    def feed(self, data: bytes) -> tuple[bytes, str]:
        """The escape is ".", "?" or nothing; what was typed after it is not looked at."""
        sent = bytearray()
        for at, byte in enumerate(data):
            key = chr(byte)
            if self._held:
                self._held = False
                if key in ".?":
                    self._fresh = key == "?"
                    return bytes(sent), key
                sent += b"" if key == "~" else b"~"
            elif key == "~" and self._fresh and len(data) < 16:  # nobody types faster; a paste is not searched
                self._held, self._fresh = True, False
                continue
            sent.append(data[at])
            self._fresh = key in "\r\n"
        return bytes(sent), ""


class Mode:
    """A terminal's settings: as they were, or raw."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before = termios.tcgetattr(descriptor)

    def set_raw(self) -> None:
        tty.setraw(self._descriptor)

    def give_back(self) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)


@contextmanager
def raw(descriptor: int) -> Iterator[Mode]:
    """Raw mode; given back as it was on every way out."""
    mode = Mode(descriptor)
    try:
        mode.set_raw()
        yield mode
    finally:
        mode.give_back()


class Keyboard:
    """What is typed, as a stream that can be read on by another reader when one is gone."""

    def __init__(self, descriptor: int, escaped: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._escaped = escaped
        self._escapes = Escapes()
        self._keys: deque[bytes] = deque()
        self._size = 0
        self._reading = False
        self._come = asyncio.Event()
        self._resume()

    def close(self) -> None:
        self._pause()

    async def keys(self) -> AsyncIterator[bytes]:
        """Without end."""
        while True:
            while not self._keys:
                self._come.clear()
                await self._come.wait()
            data = b"".join(self._keys)
            self._keys.clear()
            self._size = 0
            self._resume()
            yield data

    def _resume(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._read)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 64 * KiB)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the terminal is gone
            data = b""
        if not data:
            self._pause()
            os.kill(os.getpid(), signal.SIGHUP)
            return
        sent, escape = self._escapes.feed(data)
        if sent:
            self._keys.append(sent)
            self._size += len(sent)
            self._come.set()
        if self._size > AHEAD:
            self._pause()
        if escape:
            self._escaped(escape)

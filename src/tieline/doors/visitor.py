"""A person at the end of a byte stream: lines in, lines out. Knows nothing of what is said.

Goes in: any bytes (`typed.py`, `telnet.py`). Goes out: text that can do nothing to a terminal, whoever wrote it. Holds
a bounded amount either way: who does not read is not read from, and whoever has something to say waits in `drained()`.
"""

import asyncio
from collections.abc import Callable

from tieline.doors.telnet import HIDE_TYPING, SHOW_TYPING, Telnet
from tieline.doors.typed import LineReader, Typed
from tieline.limits import Limits
from tieline.transports.stream import Stream
from tieline.wire.safe_text import safe_text

LINGER = 0.2
"Seconds. After last words the rest of what was sent is read and dropped: closing on unread bytes would lose the words."


class Visitor:
    """Receiver of a `Stream`. `begin` makes the task that talks to the visitor; it is stopped when nobody is left."""

    def __init__(self, limits: Limits, begin: Callable[["Visitor"], "asyncio.Task[None]"]) -> None:
        self.stream: Stream
        self.telnet = Telnet()
        self.parted = False
        "Last words were said; nothing more is read or written."
        self._limits = limits
        self._begin = begin
        self._talk: asyncio.Task[None]
        self._reader = LineReader(limits.login_frame)
        self._line_end = "\n"
        self._no_more = False  # will come in
        self._gone = False
        self._reading = True
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._timer: asyncio.TimerHandle | None = None

    # -- for whoever talks to the visitor ------------------------------------------------------------------------

    def trust(self) -> None:
        """It is known who this is: from now on lines may be long."""
        self._reader.limit = self._limits.line
        self.stream.limit_reads(self._limits.line)

    @property
    def line_limit(self) -> int:
        """Bytes a line may have now."""
        return self._reader.limit

    async def line(self) -> Typed | None:
        """The next line; None when no more will come."""
        while True:
            typed = self._reader.take()
            if typed is None and self._no_more:
                return self._reader.rest()
            self._balance()
            if typed is not None:
                return typed
            self._arrived.clear()
            await self._arrived.wait()

    async def drained(self) -> None:
        """Wait until what was said has left, all but a buffer full."""
        await self._writable.wait()

    def say(self, *lines: str) -> None:
        self._write("".join(f"{safe_text(line)}{self._line_end}" for line in lines))

    def prompt(self, text: str, *, secret: bool = False) -> None:
        """Ask for a line. A secret one stays off the screen where the visitor's program can do that."""
        self._write(safe_text(text))
        if secret and self.telnet.spoken and not self.parted:
            self.stream.write(HIDE_TYPING)

    def secret_typed(self) -> None:
        """After a secret line: show again what is typed."""
        if self.telnet.spoken and not self.parted:
            self.stream.write(SHOW_TYPING)
            self._write(self._line_end)

    def part(self, *last_words: str) -> None:
        """Say something and close, giving the words time to arrive."""
        if not self.parted:
            self.say(*last_words)
            self.parted = True
            self._balance()
            self._set_timer(LINGER, self._hang_up)

    def leave(self) -> None:
        """Close, unless that is under way."""
        if not self.parted:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close when what was said is sent; a visitor who does not read is cut after a while."""
        self.parted = True
        if not self._gone:
            self.stream.close()
            self._set_timer(self._limits.drain, self.stream.abort)

    # -- the stream's side ---------------------------------------------------------------------------------------

    def opened(self, stream: Stream) -> None:
        self.stream = stream
        stream.limit_reads(self._limits.login_frame)
        self._talk = self._begin(self)

    def received(self, data: bytes | memoryview) -> None:
        if self.parted:
            return
        typed = self.telnet.strip(bytes(data))
        if self.telnet.replies:
            self.stream.write(bytes(self.telnet.replies))
            self.telnet.replies.clear()
        if self._line_end == "\n" and (self.telnet.spoken or b"\r\n" in typed):
            self._line_end = "\r\n"  # who ends lines so wants them so
        self._reader.feed(typed)
        self._balance()
        self._arrived.set()

    def finished(self) -> None:
        self._no_more = True
        self._arrived.set()
        if self.parted:
            self.stream.close()

    def ended(self, error: Exception | None) -> None:
        self._set_timer(None, self._hang_up)
        self._gone = self.parted = True
        self._writable.set()
        if error is None and self._no_more:
            # TLS ends both ways at once: what was said before is still heard, though no answer arrives any more.
            self._set_timer(self._limits.drain, self._talk.cancel)
            self._talk.add_done_callback(lambda _: self._set_timer(None, self._hang_up))
        else:
            self._talk.cancel()

    def writable(self, yes: bool) -> None:
        if yes:
            self._writable.set()
        else:
            self._writable.clear()
        self._balance()

    def __repr__(self) -> str:
        return f"<Visitor {'parted' if self.parted else 'here'} {self.stream!r} {self._reader.held} bytes unread>"

    # -- small things --------------------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        if not self.parted and text:
            self.stream.write(text.encode(errors="replace"))

    def _balance(self) -> None:
        """Read only while what was read is used up, and what was answered is read."""
        # A line may fill its limit and its end still be to come.
        wanted = self.parted or (self._reader.held <= self._reader.limit + 1 and self._writable.is_set())
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.stream.resume_reading()
            else:
                self.stream.pause_reading()

    def _set_timer(self, seconds: float | None, then: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, then)

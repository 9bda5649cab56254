"""This terminal as the screen and keyboard of a session there, through lost connections and back."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tieline.errors import CallError, LinkClosed, LinkError, NotFound, Unavailable
from tieline.limits import KiB
from tieline.link.dial import backoff
from tieline.processes.told import At, Ended, Left
from tieline.rpc.caller import Caller

from .descriptors import Sink, sink
from .keyboard import HELP, Keyboard, Mode, raw
from .options import Where
from .session import session
from .shown_state import ShownState

WINDOW = 32 * KiB
"Bytes on their way to this terminal at most: what stands between Ctrl-C and its effect."
PATIENCE = 3.0
"Seconds. The link is asked for a sign of life when it was silent so long, and given up after twice that."
LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class Wanted:
    """Which session, and how to look at it."""

    argv: list[str] = field(default_factory=list)
    id: str | None = None
    watch: bool = False
    share: bool = False
    record: bool = False
    cwd: str = ""


async def at_terminal(where: Where, wanted: Wanted) -> int:
    """Drive or watch the session until it ends or is left; the exit code for this process."""
    async with session(where, ping=PATIENCE, window=WINDOW) as client:
        id = wanted.id or await _open(client, where, wanted)
        screen = Screen(client, where, id, watch=wanted.watch, anew=wanted.id is None)
        client.on_link = screen.say
        code, last = await screen.run()
    if last:
        from .output import note

        note(f"\n{last}" if screen.shown.in_a_line() else last)
    return code


def _size() -> tuple[int, int]:
    """Columns and rows of this terminal, whatever COLUMNS and LINES say: who exports them leaves them as they were."""
    try:
        return os.get_terminal_size(sys.stdin.fileno())
    except (OSError, ValueError):
        return 80, 24


async def _open(client: Caller, where: Where, wanted: Wanted) -> str:
    columns, rows = _size()
    info = await client.call(
        where.method("shell.open"),
        timeout=where.timeout,
        argv=wanted.argv,
        cwd=wanted.cwd,
        env={name: value for name, value in os.environ.items() if name == "LANG" or name.startswith("LC_")},
        term=os.environ.get("TERM", "dumb"),
        rows=rows,
        columns=columns,
        watchable=wanted.share,
        record=wanted.record,
    )
    return str(info["id"])


class Screen:
    """One look at a session. `run()` once."""

    def __init__(self, client: Caller, where: Where, id: str, *, watch: bool, anew: bool) -> None:
        self._client = client
        self._where = where
        self._id = id
        self._watch = watch
        self._position: int | None = 0 if anew else None
        self._loop = asyncio.get_running_loop()
        self._left: asyncio.Future[str] = self._loop.create_future()
        self._out: Sink = sink(1)
        self.shown = ShownState()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> tuple[int, str]:
        """The exit code, and last words."""
        with raw(0) as mode, self._signals(mode):
            keyboard = Keyboard(0, self._escape)
            following = asyncio.ensure_future(self._follow(keyboard))
            try:
                waited: list[asyncio.Future[Any]] = [following, self._left]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if not self._left.done():
                    return following.result()
                return 0, self._left.result()
            finally:
                keyboard.close()
                following.cancel()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(following, *self._tasks, return_exceptions=True)
                await self._out.write(self.shown.undo())

    def say(self, sentence: str) -> None:
        """Of the link, between what the program prints."""
        self._show(f"\r\n[tieline: {sentence}; ~. leaves]\r\n")

    # -- what comes ----------------------------------------------------------------------------------------------

    async def _follow(self, keyboard: Keyboard) -> tuple[int, str]:
        pauses = count()
        while True:
            try:
                ended = await self._look(keyboard)
            except LinkClosed:
                continue  # the client itself waits for the next link
            except (Unavailable, NotFound) as error:
                # A machine that is away comes back; a session that is gone does not.
                if not self._where.machine or (isinstance(error.data, dict) and "session" in error.data):
                    raise
                if not (number := next(pauses)):
                    self.say(f"{error}; trying again")
                await asyncio.sleep(backoff(number, random.random()))
            else:
                pauses = count()
                if ended is not None:
                    return ended

    async def _look(self, keyboard: Keyboard) -> tuple[int, str] | None:
        columns, rows = _size()
        params: dict[str, Any] = {"id": self._id, "position": self._position, "watch": self._watch}
        if not self._watch:
            params |= {"keys": keyboard.keys(), "rows": rows, "columns": columns}
        stream = await self._client.start_stream(self._where.method("shell.attach"), None, At | Left | Ended, params)
        try:
            async for item in stream:
                if isinstance(item, bytes):
                    await self._out.write(item)
                    self.shown.see(item)
                    self._position = (self._position or 0) + len(item)
                elif isinstance(item, At):
                    self._position = item.position
                    if item.skipped:
                        # Here, between what came before and after it.
                        await self._out.write(f"\r\n[tieline: {item.skipped:,} bytes were skipped]\r\n".encode())
                elif isinstance(item, Left):
                    return 0, f"Left the session: {item.reason}. `tieline shell --attach {self._id}` goes back to it."
                else:
                    return item.code, f"The program was ended by {item.signal}." if item.signal else ""
        finally:
            await stream.aclose()
        return None

    # -- what goes -----------------------------------------------------------------------------------------------

    def _escape(self, key: str) -> None:
        if key == "?":
            self._show(HELP)
        elif not self._left.done():
            self._left.set_result(f"Left the session; `tieline shell --attach {self._id}` goes back to it.")

    def _show(self, text: str) -> None:
        self._do(self._out.write(text.encode()))

    def _do(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resize(self) -> None:
        columns, rows = _size()
        with suppress(CallError, LinkError):
            await self._client.call(
                self._where.method("shell.resize"), timeout=10, id=self._id, rows=rows, columns=columns
            )

    @contextmanager
    def _signals(self, mode: Mode) -> Iterator[None]:
        """The window's size, and whatever else would end this program without giving the terminal back."""

        def leave(number: int) -> None:
            if not self._left.done():
                self._left.set_result(f"Ended by {signal.Signals(number).name}; the session goes on.")

        handlers: dict[int, Any] = dict.fromkeys(LEAVING, leave)
        if not self._watch:
            handlers[signal.SIGWINCH] = lambda _: self._do(self._resize())

        def pause(number: int) -> None:
            mode.give_back()
            self._loop.remove_signal_handler(number)
            os.kill(os.getpid(), number)  # now it stops this program

        def go_on(number: int) -> None:
            mode.set_raw()  # the shell has put its own settings on the terminal
            self._loop.add_signal_handler(signal.SIGTSTP, pause, signal.SIGTSTP)

        handlers[signal.SIGTSTP], handlers[signal.SIGCONT] = pause, go_on
        for number, handler in handlers.items():
            self._loop.add_signal_handler(number, handler, number)
        try:
            yield
        finally:
            for number in handlers:
                self._loop.remove_signal_handler(number)

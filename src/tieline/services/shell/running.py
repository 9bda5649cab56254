"""One command that runs: its pipes and its process, from start to last byte, and how it is ended when nobody waits."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec

from tieline.errors import CallError, InternalError, NotFound, Overloaded
from tieline.processes.pipes import Reader, Writer
from tieline.processes.spawner import Process
from tieline.processes.told import Ended
from tieline.processes.watch import Watching
from tieline.promise import settle
from tieline.rpc.outgoing import Outlet, Pourable

TOGETHER = 0.005
"Seconds that the end of a command's errors waits for that of the command: nearly always both are told in one write."
TIDY = ((0.0, int(signal.SIGTERM)), (1.0, int(signal.SIGKILL)))
"For what a command left behind that has ended and closed its outputs."


class Output(Pourable):
    """All that a program writes into one of its outputs, no faster than its reader takes it. `over(outlet)` is called
    at its end, `done()` once nobody reads any more."""

    __slots__ = ("_done", "_over", "_reader")

    def __init__(
        self, reader: Reader, over: Callable[[Outlet], object], done: Callable[[], object] | None = None
    ) -> None:
        self._reader = reader
        self._over = over
        self._done = done

    async def pour(self, outlet: Outlet) -> None:
        self._reader.at_end = lambda: self._over(outlet)
        try:
            while await outlet.ready() and await self._reader.read(outlet.write, lambda: outlet.room):
                pass
        finally:
            if self._done is not None:
                self._done()


class Pipes(msgspec.Struct):
    """Input, output and errors of a command: the ends for the program, and ours, of which -1 is none."""

    theirs: tuple[int, int, int]
    ours: tuple[int, int, int]

    @classmethod
    def make(cls, *, errors: bool, input: bool) -> "Pipes":
        """Raises OSError when there are no descriptors left."""
        made: list[int] = []
        try:
            if input:
                made += os.pipe()
            else:
                made += (os.open(os.devnull, os.O_RDONLY), -1)
            made += os.pipe()
            made += os.pipe() if errors else (-1, os.dup(made[3]))
        except OSError:
            _close(made)
            raise
        given, feeding, reading, output, reading_errors, err = made
        return cls((given, output, err), (feeding, reading, reading_errors))

    def close_theirs(self) -> None:
        _close(self.theirs)

    def close_ours(self) -> None:
        _close(self.ours)


class Running:
    """From the moment its process was asked for; `finish()` exactly once."""

    def __init__(
        self, process: Process, ours: tuple[int, int, int], source: AsyncIterator[bytes] | None, watch: Watching
    ) -> None:
        feeding, reading, reading_errors = ours
        self.process = process
        self._output = Reader(reading, watch)
        self._errors = Reader(reading_errors, watch) if reading_errors >= 0 else None
        self._input = Writer(feeding) if feeding >= 0 else None
        self._feeding: asyncio.Task[None] | None = None
        if self._input is not None and source is not None:
            self._feeding = asyncio.get_running_loop().create_task(self._input.feed(source))
            self._feeding.add_done_callback(self._fed)
        self._errors_taken = False
        self._errors_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._errors is None:
            self._errors_done.set_result(None)
        self._output_over: Outlet | None = None
        self._errors_over: Outlet | None = None
        self.complete = False
        "It has ended by itself, and all of its output was taken."
        self._bad_input: BaseException | None = None
        process.on_exit(self._conclude)

    @property
    def output(self) -> Output:
        """What it writes."""
        return Output(self._output, self._output_ended)

    async def end(self) -> Ended:
        """How it ended, once all that it wrote is taken."""
        await self.exit()
        if self._bad_input is not None:
            raise self._bad_input
        await self._errors_done
        self.complete = True
        return ended(self.process.exited.result())

    def errors(self) -> Output:
        """What it writes as errors. Raises NotFound when that is taken already, or goes the way of its output."""
        if self._errors is None or self._errors_taken:
            raise NotFound("the errors of this command come with its output, or are read by somebody already")
        self._errors_taken = True
        return Output(self._errors, self._errors_ended, self._no_more_errors)

    async def exit(self, most: float | None = None) -> None:
        """Wait for its exit, so many seconds at most."""
        if self.process.exited.done():
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self.process.on_exit(lambda: settle(waiter))
        late = None if most is None else loop.call_later(most, settle, waiter)
        try:
            await waiter
        finally:
            if late is not None:
                late.cancel()

    def close_output(self) -> None:
        """Nobody reads what it writes; its end is still told."""
        self._output.close()

    def finish(self, steps: Callable[[], Any]) -> None:
        """Nobody waits any more: what is left of it is ended, by these steps unless it has ended by itself."""
        if self._feeding is not None:
            self._feeding.cancel()
        self._output.close()
        if self._errors is not None:
            self._errors.close()
        if self._input is not None:
            # Closed sooner, it would tell the program that its input was complete.
            feeder = self._input
            self.process.gone.add_done_callback(lambda _: feeder.close())
        self.process.end(TIDY if self.complete else steps())

    def _fed(self, feeding: "asyncio.Task[None]") -> None:
        """A source that fails is no end of input, and nobody will come with the rest."""
        if not feeding.cancelled() and (error := feeding.exception()) is not None:
            self._bad_input = error
            self.process.end()

    def _output_ended(self, outlet: Outlet) -> None:
        self._output_over = outlet
        self._conclude()

    def _errors_ended(self, outlet: Outlet) -> None:
        self._errors_over = outlet
        self._conclude()

    def _conclude(self) -> None:
        """If all is over now, say so at once: its streams get to it some turns of the loop later."""
        output, errors = self._output_over, self._errors_over
        if output is None or (errors is None and self._errors is not None) or not self.process.exited.done():
            return
        if self._bad_input is None and output.room:
            self.complete = True
            if errors is not None:
                errors.conclude()
            output.conclude(ended(self.process.exited.result()))
            output.flush()

    def _no_more_errors(self) -> None:
        assert self._errors is not None
        self._errors.close()
        settle(self._errors_done)

    @property
    def outcome(self) -> str:
        """For the audit, when it has exited."""
        how = outcome(ended(self.process.exited.result()))
        return how if self.complete else f"given up: {how}"

    @property
    def out(self) -> int:
        """Bytes of output so far."""
        return self._output.total + (self._errors.total if self._errors is not None else 0)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def ended(code: int) -> Ended:
    """From an exit code that is below zero for signals."""
    return Ended(code) if code >= 0 else Ended(128 - code, signal_name(-code))


def outcome(how: Ended) -> str:
    """The same in words, for the audit: `exit 0`, `SIGTERM`."""
    return how.signal or f"exit {how.code}"


def signal_name(number: int) -> str:
    """SIGKILL; SIGRTMIN+3 for those that have no name of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else f"signal {number}"


def refusal(error: OSError) -> CallError:
    """Why a program could not be started, for whoever asked."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        return NotFound(f"the command could not be started: {error.filename}: {error.strerror}")
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):
        return Overloaded(f"no command can be started now: {error.strerror}")
    return InternalError(f"the command could not be started: {error.strerror}")

"""One command that runs: its pipes and its process, from start to last byte, and how it is ended when nobody waits."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from tieline.errors import CallError, InternalError, NotFound
from tieline.processes.pipes import Reader, Writer
from tieline.processes.spawner import Process
from tieline.processes.told import Ended
from tieline.processes.watch import Watching
from tieline.rpc.outgoing import Outlet, Pourable

TOGETHER = 0.005
"Seconds that the end of a command's errors waits for that of the command: nearly always both are told in one write."
TIDY = ((0.0, int(signal.SIGTERM)), (1.0, int(signal.SIGKILL)))
"For what a command left behind that has ended and closed its outputs."


class Output(Pourable):
    """All that a program writes into one of its outputs, no faster than its reader takes it. `done()` is called once
    nobody reads any more."""

    __slots__ = ("_done", "_reader")

    def __init__(self, reader: Reader, done: Callable[[], object] | None = None) -> None:
        self._reader = reader
        self._done = done

    async def pour(self, outlet: Outlet) -> None:
        try:
            while await outlet.ready() and await self._reader.read(outlet.write, lambda: outlet.room):
                pass
        finally:
            if self._done is not None:
                self._done()


class Pipes(msgspec.Struct):
    """Our ends of a command's pipes, and the other ones until it is started."""

    theirs: tuple[int, int, int]
    output: Reader
    errors: Reader | None
    input: Writer | None

    @classmethod
    def make(cls, watch: Watching, *, errors: bool, input: bool) -> "Pipes":
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
            for descriptor in made:
                if descriptor >= 0:
                    os.close(descriptor)
            raise
        given, feeding, reading, output, reading_errors, err = made
        return cls(
            (given, output, err),
            Reader(reading, watch),
            Reader(reading_errors, watch) if errors else None,
            Writer(feeding) if input else None,
        )

    def close_theirs(self) -> None:
        for descriptor in self.theirs:
            os.close(descriptor)

    def close_outputs(self) -> None:
        self.output.close()
        if self.errors is not None:
            self.errors.close()

    def close(self) -> None:
        self.close_outputs()
        if self.input is not None:
            self.input.close()


class Running:
    """From the moment its process was asked for; `finish()` exactly once."""

    def __init__(self, process: Process, pipes: Pipes, source: AsyncIterator[bytes] | None) -> None:
        self.process = process
        self._pipes = pipes
        self._feeding: asyncio.Task[None] | None = None
        if pipes.input is not None and source is not None:
            self._feeding = asyncio.get_running_loop().create_task(pipes.input.feed(source))
            self._feeding.add_done_callback(self._fed)
        self._errors_taken = False
        self._errors_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if pipes.errors is None:
            self._errors_done.set_result(None)
        self.complete = False
        "It has ended by itself, and all of its output was taken."
        self._bad_input: BaseException | None = None

    @property
    def output(self) -> Output:
        """What it writes."""
        return Output(self._pipes.output)

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
        if self._pipes.errors is None or self._errors_taken:
            raise NotFound("the errors of this command come with its output, or are read by somebody already")
        self._errors_taken = True
        return Output(self._pipes.errors, self._no_more_errors)

    async def exit(self, most: float | None = None) -> None:
        """Wait for its exit, so many seconds at most."""
        if self.process.exited.done():
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self.process.on_exit(lambda: _settle(waiter))
        late = None if most is None else loop.call_later(most, _settle, waiter)
        try:
            await waiter
        finally:
            if late is not None:
                late.cancel()

    def close_output(self) -> None:
        """Nobody reads what it writes; its end is still told."""
        self._pipes.output.close()

    def finish(self, steps: Callable[[], Any]) -> None:
        """Nobody waits any more: what is left of it is ended, by these steps unless it has ended by itself."""
        if self._feeding is not None:
            self._feeding.cancel()
        self._pipes.close_outputs()
        if self._pipes.input is not None:
            # Closed sooner, it would tell the program that its input was complete.
            feeder = self._pipes.input
            self.process.gone.add_done_callback(lambda _: feeder.close())
        self.process.end(TIDY if self.complete else steps())

    def _fed(self, feeding: "asyncio.Task[None]") -> None:
        """A source that fails is no end of input, and nobody will come with the rest."""
        if not feeding.cancelled() and (error := feeding.exception()) is not None:
            self._bad_input = error
            self.process.end()

    def _no_more_errors(self) -> None:
        assert self._pipes.errors is not None
        self._pipes.errors.close()
        _settle(self._errors_done)

    @property
    def outcome(self) -> str:
        """For the audit, when it has exited."""
        how = outcome(ended(self.process.exited.result()))
        return how if self.complete else f"given up: {how}"

    @property
    def out(self) -> int:
        """Bytes of output so far."""
        return self._pipes.output.total + (self._pipes.errors.total if self._pipes.errors is not None else 0)


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


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
    return InternalError(f"the command could not be started: {error.strerror}")

"""How commands are ended: signal after signal, the last of them SIGKILL, until nothing that they started lives.

One task for all that are ending, so that the process table is read once for all of them, in a thread.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from tieline.processes import family

log = logging.getLogger("tieline.processes")
Steps = Iterable[tuple[float, int]]
"After so many seconds, this signal; SIGKILL last."
KILL: Steps = ((0.0, signal.SIGKILL),)
LOOK = 0.03
"Seconds between two looks at what is left."
STUBBORN = 5.0
"Seconds of SIGKILL after which a process is given up: the kernel holds it, on a disk that hangs perhaps."


class Ending(Protocol):
    """What is needed of a process."""

    pid: int
    mark: str
    exited: "asyncio.Future[int]"

    @property
    def holds_number(self) -> bool: ...

    def reap(self) -> None: ...


class Endings:
    """`commands()` gives the first pid of every command; `strays(process)` what was adopted and can only be its;
    `gone(process)` is called when nothing is left of one."""

    def __init__(
        self,
        commands: Callable[[], set[int]],
        strays: Callable[..., list[int]],
        gone: Callable[..., None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._commands = commands
        self._strays = strays
        self._gone = gone
        self._steps: dict[Ending, list[tuple[float, int]]] = {}
        self._killed: dict[Ending, float] = {}
        self._quiet: set[Ending] = set()  # of which nothing was seen at the last look
        self._task: asyncio.Task[None] | None = None

    def add(self, process: Ending, steps: Steps) -> None:
        """Begin to end it; one that is ending already may be hurried, never given more time."""
        now = self._loop.time()
        coming = [(now + after, int(number)) for after, number in steps]
        known = self._steps.get(process)
        if process in self._killed or (known and known[-1][0] <= coming[-1][0]):
            return
        self._steps[process] = coming
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run())

    def has(self, process: Ending) -> bool:
        """Whether it is ending."""
        return process in self._steps

    async def close(self) -> None:
        """When nothing is left to end."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._steps:
            try:
                ending = {process: self._strays(process) for process in self._steps}
                left = await asyncio.to_thread(_left, ending, self._commands())
            except (OSError, RuntimeError) as error:  # no descriptors, no threads: those that end give some back
                log.warning("what is to be ended could not be looked up; trying again: %s", error)
                left = {}
            for process in list(self._steps):
                self._go_on(process, left.get(process))
            if self._steps:
                await asyncio.sleep(LOOK)
        self._task = None

    def _go_on(self, process: Ending, left: list[int] | None) -> None:
        """`left` is None when it is not known."""
        if left == [] and process.exited.done() and self._is_gone(process):
            self._finish(process)
            return
        if left:
            self._quiet.discard(process)
        now = self._loop.time()
        steps = self._steps[process]
        while steps and steps[0][0] <= now:
            number = steps.pop(0)[1]
            if number == signal.SIGKILL:
                self._killed[process] = now
            else:
                family.send(left or [], number)
                family.send(left or [], signal.SIGCONT)
        if process in self._killed:
            # At every look, for what was started meanwhile; the group at one stroke, for what forks without end.
            family.send(left or [], signal.SIGKILL)
            family.kill_group(process.pid, held=process.holds_number)
            if now - self._killed[process] > STUBBORN:
                self._finish(process)

    def _is_gone(self, process: Ending) -> bool:
        """Nothing was seen of it; but the table is read one process after the other, and some are quick."""
        if process not in self._quiet:
            self._quiet.add(process)
            return False
        process.reap()
        return not family.group_lives(process.pid)

    def _finish(self, process: Ending) -> None:
        del self._steps[process]
        self._killed.pop(process, None)
        self._quiet.discard(process)
        self._gone(process)


def _left(ending: dict[Ending, list[int]], commands: set[int]) -> dict[Ending, list[int]]:
    living = family.table()
    return {
        process: family.members(
            living, process.pid, process.mark, commands - {process.pid}, strays, certain=process.holds_number
        )
        for process, strays in ending.items()
    }

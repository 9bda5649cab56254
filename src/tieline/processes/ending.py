"""How commands are ended: signal after signal, the last of them SIGKILL, until nothing that they started lives.

One task for all that are ending, so that the process table is read once for all of them, in a thread.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from tieline.processes import family

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


class Endings:
    """`commands()` gives the first pid of every command; `strays()` the pids of what was left behind by the only one
    there is; `gone(process)` is called when nothing is left of one."""

    def __init__(
        self,
        commands: Callable[[], set[int]],
        strays: Callable[[], list[int]],
        gone: Callable[..., None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._commands = commands
        self._strays = strays
        self._gone = gone
        self._steps: dict[Ending, list[tuple[float, int]]] = {}
        self._killed: dict[Ending, float] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, process: Ending, steps: Steps) -> None:
        """Begin to end it; one that is ending already may be hurried, never given more time."""
        now = self._loop.time()
        coming = [(now + after, int(number)) for after, number in steps]
        known = self._steps.get(process)
        if process in self._killed or (known and known[-1][0] <= coming[-1][0]):
            return
        self._steps[process] = coming
        if self._task is None:
            self._task = self._loop.create_task(self._run())

    async def close(self) -> None:
        """When nothing is left to end."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            while self._steps:
                ending, strays = list(self._steps), self._strays()
                left = await asyncio.to_thread(_left, ending, self._commands(), strays)
                for process in ending:
                    self._go_on(process, left[process])
                if self._steps:
                    await asyncio.sleep(LOOK)
        finally:
            self._task = None

    def _go_on(self, process: Ending, left: list[int]) -> None:
        if process.exited.done() and not left:
            self._finish(process)
            return
        now = self._loop.time()
        steps = self._steps[process]
        while steps and steps[0][0] <= now:
            number = steps.pop(0)[1]
            if number == signal.SIGKILL:
                self._killed[process] = now
            else:
                family.send(left, number)
                family.send(left, signal.SIGCONT)
        if process in self._killed:
            family.send(left, signal.SIGKILL)  # at every look, for what was started meanwhile
            if now - self._killed[process] > STUBBORN:
                self._finish(process)

    def _finish(self, process: Ending) -> None:
        del self._steps[process]
        self._killed.pop(process, None)
        self._gone(process)


def _left(ending: list[Ending], commands: set[int], strays: list[int]) -> dict[Ending, list[int]]:
    living = family.table()
    return {
        process: family.members(living, process.pid, process.mark, commands - {process.pid}, strays)
        for process in ending
    }

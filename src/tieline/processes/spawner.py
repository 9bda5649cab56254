"""Starts programs, tells how they end, and sees to it that what they started ends with them.

    async with Spawner() as spawner:
        process = spawner.start(mark, "/bin/true", ["true"], environment, folder="/", descriptors=(0, 1, 2))
        await process.exited

A program is started on the loop, by vfork: that takes 0.15 ms, and a thread or process to do it costs more than that.
`end()` gives it time, then nothing is left. So it is when the spawner closes, and when this whole program is killed
(warden.py).
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from tieline.processes import family
from tieline.processes.ending import KILL, Endings, Steps
from tieline.processes.exits import code_of, when_exited
from tieline.processes.guard import Guard
from tieline.processes.ledger import Ledger
from tieline.processes.watch import Watch, watch

FAREWELL = ((0.0, int(signal.SIGHUP)), (0.0, int(signal.SIGTERM)), (1.0, int(signal.SIGKILL)))
"For everything, when the spawner closes: time enough for an editor to save what it has."


class Process:
    """A program that was started. Its futures never raise."""

    __slots__ = ("_popen", "_spawner", "_told", "began", "exited", "gone", "mark", "pid", "slot")

    def __init__(self, spawner: "Spawner", mark: str, popen: "subprocess.Popen[bytes]", slot: int) -> None:
        loop = asyncio.get_running_loop()
        self._spawner = spawner
        self._popen = popen
        self._told: list[Callable[[], object]] = []
        self.mark = mark
        self.pid = popen.pid
        self.slot = slot
        self.began = 0.0
        "Just before it was started, by the clock of `family.now`."
        self.exited: asyncio.Future[int] = loop.create_future()
        "Its exit code; below zero, the signal that ended it. Its output may be unread by then."
        self.gone: asyncio.Future[None] = loop.create_future()
        "After `end()`: nothing that it started is left."

    @property
    def holds_number(self) -> bool:
        """Whether its number cannot be another's by now: it runs, or nobody has waited for it."""
        return self._popen.returncode is None

    def signal(self, number: int) -> None:
        """To its process group, as Ctrl-C does at a terminal."""
        if self.holds_number:
            try:
                os.killpg(self.pid, number)
            except OSError:
                pass

    def end(self, steps: Steps = KILL) -> None:
        """Send these signals after so many seconds, the last of them SIGKILL, to it and all that it has started.

        Also to be called for one that has exited: for what it left behind, and to be forgotten.
        """
        self._spawner.end(self, steps)

    def on_exit(self, tell: Callable[[], object]) -> None:
        """Call `tell()` as it exits: a turn of the loop sooner than whoever awaits `exited`, if it still runs."""
        self._told.append(tell)

    def has_exited(self, code: int | None = None) -> None:
        if not self.exited.done():
            self.exited.set_result(code_of(self._popen) if code is None else code)
            for tell in self._told:
                tell()

    def reap(self) -> None:
        """It has exited, and its number may be another's from here on."""
        self._popen.wait()

    def __repr__(self) -> str:
        state = "gone" if self.gone.done() else "exited" if self.exited.done() else "running"
        return f"<Process {self.pid} {self.mark} {state}>"


class Spawner:
    """Everything that was started on one loop."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._guard = Guard(self._ledger)
        self.watch = watch()
        "For the descriptors of what is started."
        self._processes: dict[str, Process] = {}  # by mark, until gone
        self._endings = Endings(self._first_processes, self._strays, self._forget)

    async def __aenter__(self) -> Self:
        """Raises Unavailable when nothing can be started here."""
        await self._guard.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(
        self,
        mark: str,
        path: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: str = "/",
        descriptors: tuple[int, int, int],
    ) -> Process:
        """Start a program in a session of its own, on these descriptors. Raises OSError.

        `mark` is unique for ever and stands in its environment.
        """
        self._guard.check()
        slot = self._ledger.enter(mark)
        began = family.now()
        stdin, stdout, stderr = descriptors
        try:
            popen = subprocess.Popen(
                argv,
                executable=path,
                env={**environment, family.MARK: mark},
                cwd=folder,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except BaseException:  # whatever it was: nothing runs, so the ledger must not name it
            self._ledger.leave(slot)
            raise
        self._ledger.started(slot, popen.pid, mark)
        process = self._processes[mark] = Process(self, mark, popen, slot)
        process.began = began
        when_exited(popen, process.has_exited, self.watch)
        return process

    def end(self, process: Process, steps: Steps) -> None:
        """See `Process.end`."""
        if process.gone.done():
            return
        if process.exited.done() and not self._endings.has(process):
            process.reap()  # else it would be a member of its group for as long as one looks
            if family.adopts() and not family.group_lives(process.pid) and self._left_nothing(process):
                self._forget(process)  # nearly always
                return
        self._endings.add(process, steps)

    def __len__(self) -> int:
        """Commands of which something may be left."""
        return len(self._processes)

    async def end_all(self) -> None:
        """End everything, and wait until it is gone."""
        for process in list(self._processes.values()):
            process.end(FAREWELL)
        if self._processes:
            await asyncio.wait([process.gone for process in self._processes.values()])
        await self._endings.close()

    async def close(self) -> None:
        """End everything, and start nothing more."""
        await self.end_all()
        await self._guard.close()
        self._ledger.close()
        if isinstance(self.watch, Watch):
            self.watch.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _first_processes(self) -> set[int]:
        return {process.pid for process in self._processes.values()}

    def _left_nothing(self, process: Process) -> bool:
        try:
            return not self._strays(process)
        except OSError:
            return False  # or it cannot be seen now

    def _strays(self, process: Process) -> list[int]:
        """What was adopted and can be of this command alone: of those that had begun when it began, the last here."""
        found = family.orphans({*self._first_processes(), self._guard.pid})
        return [
            pid
            for pid, began in found
            if process.began <= began
            and not any(other.began <= began for other in self._processes.values() if other is not process)
        ]

    def _forget(self, process: Process) -> None:
        if self._processes.pop(process.mark, None) is None:
            return
        self._ledger.leave(process.slot)
        if not process.exited.done():
            process.has_exited(-9)  # the kernel holds it in spite of SIGKILL; nobody waits any longer
        elif process.holds_number:
            process.reap()
        process.gone.set_result(None)

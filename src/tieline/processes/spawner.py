"""Starts programs, tells how they end, and sees to it that what they started ends with them.

    async with Spawner() as spawner:
        process = spawner.start(mark, "/bin/true", ["true"], environment, folder="/", descriptors=(0, 1, 2))
        await process.exited

A program is started on the loop, by vfork: that takes 0.15 ms, and a thread or process to do it costs more than that.
`end()` gives it time, then nothing is left. So it is when the spawner closes, and when this whole program is killed
(warden.py).
"""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tieline.errors import Unavailable
from tieline.processes import family
from tieline.processes.ending import KILL, Endings, Steps
from tieline.processes.ledger import Ledger

log = logging.getLogger("tieline.processes")


class Process:
    """A program that was started. Its futures never raise."""

    __slots__ = ("_popen", "_spawner", "exited", "gone", "mark", "pid", "slot")

    def __init__(self, spawner: "Spawner", mark: str, popen: "subprocess.Popen[bytes]", slot: int) -> None:
        loop = asyncio.get_running_loop()
        self._spawner = spawner
        self._popen = popen
        self.mark = mark
        self.pid = popen.pid
        self.slot = slot
        self.exited: asyncio.Future[int] = loop.create_future()
        "Its exit code; below zero, the signal that ended it. Its output may be unread by then."
        self.gone: asyncio.Future[None] = loop.create_future()
        "After `end()`: nothing that it started is left."

    def signal(self, number: int) -> None:
        """To its process group, as Ctrl-C does at a terminal."""
        if not self.exited.done() or family.group_lives(self.pid):
            try:
                os.killpg(self.pid, number)
            except OSError:
                pass

    def end(self, steps: Steps = KILL) -> None:
        """Send these signals after so many seconds, the last of them SIGKILL, to it and all that it has started.

        Also to be called for one that has exited: for what it left behind, and to be forgotten.
        """
        self._spawner.end(self, steps)

    def reap(self) -> None:
        """It has exited."""
        code = self._popen.wait()
        if not self.exited.done():
            self.exited.set_result(code)

    def __repr__(self) -> str:
        state = "gone" if self.gone.done() else "exited" if self.exited.done() else "running"
        return f"<Process {self.pid} {self.mark} {state}>"


class Spawner:
    """Everything that was started on one loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ledger = Ledger()
        self._processes: dict[str, Process] = {}  # by mark, until gone
        self._endings = Endings(self._commands, self._strays, self._forget)
        self._leash = -1
        self._warden: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        reading, self._leash = os.pipe()
        try:
            self._warden = subprocess.Popen(  # noqa: ASYNC220
                # -I -S: nothing of the user's, and none of what is installed, is loaded into it.
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("warden.py"))],
                stdin=reading,
                stdout=self._ledger.descriptor,
                stderr=subprocess.DEVNULL,  # whoever reads ours to its end is not to wait for the warden
                cwd="/",
                env={},
                start_new_session=True,  # Ctrl-C at the server's terminal is not for it
            )
        finally:
            os.close(reading)
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
        slot = self._enter(mark)
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
        except BaseException:
            self._ledger.leave(slot)
            raise
        return self._watch(mark, popen, slot)

    def end(self, process: Process, steps: Steps) -> None:
        """See `Process.end`."""
        if process.gone.done():
            return
        if process.exited.done() and not family.group_lives(process.pid) and not self._orphans():
            self._forget(process)  # nearly always
        else:
            self._endings.add(process, steps)

    def __len__(self) -> int:
        """Commands of which something may be left."""
        return len(self._processes)

    async def end_all(self) -> None:
        """End everything, and wait until it is gone."""
        for process in list(self._processes.values()):
            process.end()
        if self._processes:
            await asyncio.wait([process.gone for process in self._processes.values()])
        await self._endings.close()

    async def close(self) -> None:
        """End everything, and start nothing more."""
        await self.end_all()
        warden, self._warden = self._warden, None
        if warden is not None:
            self._ledger.close()
            os.close(self._leash)
            await asyncio.to_thread(warden.wait)

    # -- inside --------------------------------------------------------------------------------------------------

    def _enter(self, mark: str) -> int:
        if self._warden is None:
            raise Unavailable("this machine is closing and starts nothing more")
        return self._ledger.enter(mark)

    def _watch(self, mark: str, popen: "subprocess.Popen[bytes]", slot: int) -> Process:
        self._ledger.started(slot, popen.pid, mark)
        process = self._processes[mark] = Process(self, mark, popen, slot)
        try:
            descriptor = os.pidfd_open(popen.pid)
        except (AttributeError, OSError):  # an older kernel, another system
            threading.Thread(target=self._wait, args=(popen, process), daemon=True).start()
            return process
        self._loop.add_reader(descriptor, self._exited, process, descriptor)
        return process

    def _exited(self, process: Process, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        process.reap()

    def _wait(self, popen: "subprocess.Popen[bytes]", process: Process) -> None:
        popen.wait()
        try:
            self._loop.call_soon_threadsafe(process.reap)
        except RuntimeError:
            pass  # the loop has ended

    def _commands(self) -> set[int]:
        return {process.pid for process in self._processes.values()}

    def _strays(self) -> list[int]:
        return self._orphans() if len(self._processes) == 1 else []

    def _orphans(self) -> list[int]:
        known = self._commands()
        if self._warden is not None:
            known.add(self._warden.pid)
        return family.orphans(known)

    def _forget(self, process: Process) -> None:
        if self._processes.pop(process.mark, None) is None:
            return
        self._ledger.leave(process.slot)
        if not process.exited.done():
            process.exited.set_result(-9)  # the kernel holds it in spite of SIGKILL; nobody waits any longer
        if not process.gone.done():
            process.gone.set_result(None)

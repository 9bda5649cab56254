"""Keeps a warden alive beside this program: started, awaited, started again when somebody kills it."""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

from tieline.errors import Unavailable
from tieline.processes import family
from tieline.processes.cgroup import Group
from tieline.processes.exits import when_exited
from tieline.processes.ledger import Ledger

log = logging.getLogger("tieline.processes")
STARTING = 20.0
"Seconds a warden has to say that it is there."
MOST = 10
"Wardens that are started anew; whoever kills more of them wants no commands to run here."
_NEEDED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")
"Without these some interpreters do not start."


class Guard:
    """`check()` before anything is started."""

    def __init__(self, ledger: Ledger) -> None:
        self._loop = asyncio.get_running_loop()
        self._ledger = ledger
        self._leash = -1
        self._group: Group | None = None
        self._warden: subprocess.Popen[bytes] | None = None
        self._started = 0
        self._closing = False

    @property
    def pid(self) -> int:
        """Of the warden; 0 while there is none."""
        return self._warden.pid if self._warden is not None else 0

    def check(self) -> None:
        """Raises Unavailable when nobody would end what is left by a killed server."""
        if self._warden is None:
            raise Unavailable("this machine runs nothing more: it is closing, or its warden was killed; see its log")

    async def open(self) -> None:
        """Returns when the warden is there. Raises Unavailable."""
        said = self._start()
        try:
            there = await asyncio.wait_for(asyncio.to_thread(os.read, said, 1), STARTING)
        except TimeoutError:
            there = b""
        finally:
            os.close(said)
        if not there:
            await self.close()
            raise Unavailable("commands cannot be run here: the process that would watch over them does not start")
        if family.adopts():  # then all that this program starts is commands
            self._group = Group.enter()
            self._tell_warden()

    async def close(self) -> None:
        """Let go of the leash, and wait for the warden, which ends whatever stands in the ledger."""
        self._closing = True
        group, self._group = self._group, None
        if group is not None:
            self._tell_warden()  # else it would kill us
            try:
                await asyncio.to_thread(group.close)
            except OSError as error:
                log.warning("the control group of the commands that ran here stays behind: %s", error)
        warden, self._warden = self._warden, None
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1
        if warden is not None:
            await asyncio.to_thread(warden.wait)

    def _start(self) -> int:
        """The descriptor on which the new warden says that it is there."""
        said, saying = os.pipe()
        reading, leash = os.pipe()
        try:
            warden = _run_warden(reading, self._ledger.descriptor, saying)
        except BaseException:  # whatever it was: nobody else has these descriptors yet
            os.close(leash)
            os.close(said)
            raise
        finally:
            os.close(reading)
            os.close(saying)
        old, self._leash = self._leash, leash
        if old >= 0:
            os.close(old)
        self._warden = warden
        self._started += 1
        if self._group is not None:
            self._tell_warden()
        when_exited(warden, lambda: self._died(warden))
        return said

    def _tell_warden(self) -> None:
        """Which group it is to kill when we are killed, from outside of it; none, when there is none any more."""
        try:
            if self._group is not None:
                self._group.put_out(self.pid)
            os.write(self._leash, f"{self._group.path if self._group is not None else ''}\n".encode())
        except OSError as error:
            log.error("the warden of the commands that run here knows nothing of their control group: %s", error)

    def _died(self, warden: "subprocess.Popen[bytes]") -> None:
        warden.wait()
        if self._closing or self._warden is not warden:
            return
        self._warden = None
        log.error("the warden of the commands that run here was killed")
        if self._started <= MOST:
            try:
                os.close(self._start())
            except OSError:
                log.exception("it cannot be started again; no more commands are run")


def _run_warden(leash: int, ledger: int, saying: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        # -I -S: nothing of the user's, and none of what is installed, is loaded into it.
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("warden.py"))],
        stdin=leash,
        stdout=ledger,
        stderr=saying,
        cwd="/",
        env={name: os.environ[name] for name in _NEEDED if name in os.environ},
        start_new_session=True,  # Ctrl-C at the server's terminal is not for it
    )

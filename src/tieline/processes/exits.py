"""When a child of ours has exited, told on the loop without waiting for it: its number stays its own until one does."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable

from tieline.processes.watch import Watching

HELD = hasattr(os, "pidfd_open") and hasattr(os, "waitid")
"Whether one can be told without giving the number free; elsewhere a thread waits, and it is free at once."


def when_exited(popen: "subprocess.Popen[bytes]", tell: Callable[[], object], watch: Watching | None = None) -> None:
    """Call `tell()` once."""
    loop = asyncio.get_running_loop()
    watching: Watching = watch if watch is not None else loop
    descriptor = _pidfd(popen.pid)
    if descriptor >= 0:

        def readable() -> None:
            watching.remove_reader(descriptor)
            os.close(descriptor)
            tell()

        watching.add_reader(descriptor, readable)
        return

    def wait() -> None:
        popen.wait()
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            pass  # the loop has ended

    threading.Thread(target=wait, daemon=True).start()


def code_of(popen: "subprocess.Popen[bytes]") -> int:
    """The exit code of one that has exited, below zero for signals; its number stays taken where that can be."""
    if popen.returncode is None and HELD:
        found = os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
    return popen.wait()


def _pidfd(pid: int) -> int:
    if not HELD:
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:  # an older kernel
        return -1

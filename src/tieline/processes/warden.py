"""The warden: a tiny process that outlives a killed server for as long as it takes to end what that had started.

Run as a script: descriptor 0 is a pipe whose other end only the server holds, descriptor 1 its ledger. When the pipe
ends, however that came about, the commands in the ledger get SIGTERM, and a second later SIGKILL with all they started.
If the last line that came through the pipe names the server's control group, whatever is left in that is killed then.
Needs the standard library alone, so it starts in milliseconds, and sleeps until then.
"""

import os
import signal
import sys
import time

if __name__ == "__main__":  # a script knows its own folder only
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import cgroup  # type: ignore[import-not-found]
    import family  # type: ignore[import-not-found]
    import ledger  # type: ignore[import-not-found]
else:
    from tieline.processes import cgroup, family, ledger

GRACE = 1.0
"Seconds between SIGTERM and SIGKILL."
STUBBORN = 5.0
"Seconds of killing after which the warden gives up: the kernel holds what is left."
PAUSE = 0.03
_IGNORED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


def end(commands: list[tuple[int, str]], now: float) -> None:
    """End these commands: politely, then not."""
    family.send(_left(commands) or [], signal.SIGTERM)
    while (left := _left(commands)) != [] and (since := time.monotonic() - now) < GRACE + STUBBORN:
        if since >= GRACE:
            family.send(left or [], signal.SIGKILL)
        time.sleep(PAUSE)


def _left(commands: list[tuple[int, str]]) -> list[int] | None:
    """None when nothing can be seen: the system has no descriptors left, for a moment."""
    known = [(first, mark) for first, mark in commands if first or family.READABLE]
    try:
        living = family.table()
        return [pid for first, mark in known for pid in family.members(living, first or -1, mark, certain=False)]
    except OSError:
        return None


def main() -> None:
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    try:
        os.write(2, b".")  # it is there; nothing more is said, so that nobody who reads our errors waits for us
    except OSError:
        pass  # nobody waited for it, since it was started in place of another
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)
    told = b""
    while said := os.read(0, 4096):
        told += said
    if commands := ledger.read(1):
        end(commands, time.monotonic())
    *lines, _ = told.split(b"\n")  # what is behind the last of them is not whole
    if lines and lines[-1]:
        cgroup.end(os.fsdecode(lines[-1]))


if __name__ == "__main__":
    main()

"""Which living processes a command has started, as the system's process table tells.

Also imported by the warden, a script without Tieline on its path, so it needs the standard library alone.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable

MARK = "TIELINE_COMMAND"
"In the environment of each command, and so of all it starts: by it those are known that left its session."
READABLE = sys.platform == "linux"
"Whether the system has a table to read; elsewhere a command is its process group."
_PR_SET_CHILD_SUBREAPER = 36

Table = dict[int, tuple[int, int, int]]
"pid -> parent, group, session"


def table() -> Table:
    """Everybody who lives; zombies do not. Empty on a system that has none. Raises OSError when it cannot be read."""
    found: Table = {}
    for name in filter(str.isdigit, os.listdir("/proc") if READABLE else ()):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The program's name, in brackets, may hold anything.
                state, parent, group, session = file.read().rpartition(b")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue  # gone meanwhile
        if state not in (b"Z", b"X"):
            found[int(name)] = (int(parent), int(group), int(session))
    return found


def members(
    living: Table,
    first: int,
    mark: str,
    others: Collection[int] = (),
    strays: Collection[int] = (),
    *,
    certain: bool = True,
) -> list[int]:
    """Those of the living that a command started whose first process is or was `first`: itself, its session and group,
    whoever bears its mark, the strays, and whoever descends from any of these; but not `others`, the first processes
    of other commands. Unless `certain`, the number may be another's by now: it counts if one who has it bears the mark.
    """
    if not READABLE:
        return [first] if group_lives(first) else []
    marked = {pid for pid, (_, _, session) in living.items() if session not in others and _mark(pid) == mark}
    numbered = {pid for pid, (_, group, session) in living.items() if first in (pid, group, session)}
    mine = marked | {pid for pid in strays if pid in living}
    if certain or numbered & marked:
        mine |= numbered
    while more := {pid for pid, (parent, _, _) in living.items() if parent in mine and pid not in mine}:
        mine |= more
    return [pid for pid in mine if pid not in others]


def group_lives(group: int) -> bool:
    """Whether a process group has members; dead ones that nobody has waited for count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def kill_group(group: int, *, held: bool) -> None:
    """SIGKILL for all of a group at one stroke. `held`: its number cannot be another's; else it must have had members
    ever since it was."""
    if held or group_lives(group):
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass


def send(pids: Iterable[int], number: int) -> None:
    """Signal each; who is gone meanwhile is no error."""
    for pid in pids:
        try:
            os.kill(pid, number) if READABLE else os.killpg(pid, number)
        except OSError:
            pass


_adopting = False
_before: frozenset[int] = frozenset()
_SLACK = 0.05
"Seconds. The table tells when a process began in hundredths of a second."


def now() -> float:
    """Seconds by the clock that processes begin by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if READABLE else time.monotonic()


def adopt_orphans() -> None:
    """From now on, descendants whose parents die become children of this process (Linux).

    Only for a program all of whose children, but those it has already, are commands of ours and what they left behind:
    it then misses nothing, and `orphans` waits for them. The first process of a system or container is given
    everybody's orphans: there, what a command left behind is known by its mark and session only.
    """
    global _adopting, _before
    if READABLE and os.getpid() != 1:
        import ctypes

        _before = frozenset(_children())
        _adopting = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def orphans(known: Collection[int]) -> list[tuple[int, float]]:
    """What was adopted, and when each began; dead ones are waited for on the way. Raises OSError when there are no
    descriptors to look with."""
    if not _adopting:
        return []
    strangers = [pid for pid in _children() if pid not in known and pid not in _before]
    return [(pid, began) for pid in strangers if not _dead(pid) and (began := _began(pid)) is not None]


def adopts() -> bool:
    """Whether `orphans` misses nothing."""
    return _adopting


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError as error:
        _raise_if_blind(error)
        return []


def _began(pid: int) -> float | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except OSError as error:
        _raise_if_blind(error)
        return None
    except (ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK") + _SLACK


def _dead(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except OSError:
        return True


def _mark(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError as error:  # another user's, or gone
        _raise_if_blind(error)
        return ""
    beginning = f"{MARK}=".encode()
    marks = (each.removeprefix(beginning) for each in variables if each.startswith(beginning))
    return next(marks, b"").decode(errors="replace")


def _raise_if_blind(error: OSError) -> None:
    """Without descriptors nothing is seen, which is not to say that nothing is there."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise error

"""Which living processes a command has started, as the system's process table tells.

Also imported by the warden, a script without Tieline on its path, so it needs the standard library alone.
"""

import os
import sys
from collections.abc import Collection, Iterable

MARK = "TIELINE_COMMAND"
"In the environment of each command, and so of all it starts: by it those are known that left its session."
READABLE = sys.platform == "linux"
"Whether the system has a table to read; elsewhere a command is its process group."
_PR_SET_CHILD_SUBREAPER = 36

Table = dict[int, tuple[int, int, int]]
"pid -> parent, group, session"


def table() -> Table:
    """Everybody who lives; zombies do not. Empty where it cannot be read."""
    found: Table = {}
    for name in os.listdir("/proc") if READABLE else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The program's name, in brackets, may hold anything.
                    state, parent, group, session = file.read().rpartition(b")")[2].split()[:4]
            except (OSError, ValueError):
                continue  # gone meanwhile
            if state not in (b"Z", b"X"):
                found[int(name)] = (int(parent), int(group), int(session))
    return found


def members(
    living: Table, first: int, mark: str, others: Collection[int] = (), strays: Collection[int] = ()
) -> list[int]:
    """Those of the living that a command started whose first process is or was `first`: itself, its session and group,
    whoever bears its mark, the strays, and whoever descends from any of these; but not `others`, the first processes
    of other commands."""
    if not READABLE:
        return [first] if group_lives(first) else []
    mine = {pid for pid in strays if pid in living}
    for pid, (_, group, session) in living.items():
        if first in (pid, group, session) or (session not in others and _mark(pid) == mark):
            mine.add(pid)
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


def send(pids: Iterable[int], number: int) -> None:
    """Signal each; who is gone meanwhile is no error."""
    for pid in pids:
        try:
            os.kill(pid, number) if READABLE else os.killpg(pid, number)
        except OSError:
            pass


_adopting = False


def adopt_orphans() -> None:
    """From now on, descendants whose parents die become children of this process (Linux).

    Only for a program all of whose children are commands of ours and what they left behind: it then misses nothing,
    and `orphans` waits for them.
    """
    global _adopting
    if READABLE:
        import ctypes

        _adopting = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def orphans(known: Collection[int]) -> list[int]:
    """The children of this process beside the known ones, when it adopts; dead ones are waited for on the way."""
    if not _adopting:
        return []
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            strangers = [int(pid) for pid in file.read().split() if int(pid) not in known]
    except OSError:
        return []
    return [pid for pid in strangers if not _dead(pid)]


def _dead(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except OSError:
        return True


def _mark(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            for entry in file.read().split(b"\0"):
                name, _, value = entry.partition(b"=")
                if name == MARK.encode():
                    return value.decode(errors="replace")
    except OSError:  # another user's, or gone
        pass
    return ""

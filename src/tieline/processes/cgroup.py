"""A control group of our own, where one may be made (Linux, cgroup 2): whatever this program starts is in it for good,
whatever it does to its session, parents and environment, and the kernel kills all of it at one stroke.

Also imported by the warden, so it needs the standard library alone.
"""

import os
import time

PATIENCE = 5.0
"Seconds until a group whose members were killed is empty; longer only if the kernel holds one of them."
PAUSE = 0.01


class Group:
    """This process is in it, until `close()`. The warden is put out of it, so that it can kill the rest."""

    def __init__(self, path: str, parent: str) -> None:
        self.path = path
        self._parent = parent

    @classmethod
    def enter(cls) -> "Group | None":
        """None where no group can be made, or none that can be killed: in most containers, before Linux 5.14."""
        parent = _own()
        if parent is None:
            return None
        path = f"{parent}/tieline-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            os.mkdir(path)
        except OSError:
            return None
        try:
            if not os.path.exists(f"{path}/cgroup.kill"):
                raise OSError
            _write(f"{path}/cgroup.procs", str(os.getpid()))
        except OSError:
            os.rmdir(path)
            return None
        return cls(path, parent)

    def put_out(self, pid: int) -> None:
        """Raises OSError."""
        _write(f"{self._parent}/cgroup.procs", str(pid))

    def close(self) -> None:
        """Leave it, and kill what is left in it. Raises OSError."""
        self.put_out(os.getpid())
        end(self.path)


def end(path: str) -> None:
    """Kill all that is in a group, and remove it."""
    try:
        _write(f"{path}/cgroup.kill", "1")
    except OSError:
        pass  # removed already
    ends = time.monotonic() + PATIENCE
    while os.path.exists(path) and time.monotonic() < ends:
        try:
            os.rmdir(path)
        except OSError:  # what was killed is on its way out
            time.sleep(PAUSE)


def _own() -> str | None:
    """The folder of the group that this process is in."""
    try:
        with open("/proc/self/cgroup") as file:
            name = next(line[3:].strip() for line in file if line.startswith("0::"))
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split(" - ")[0].split() for line in file if line.split(" - ")[1].startswith("cgroup2 ")]
    except (OSError, StopIteration, IndexError):
        return None
    for _, _, _, root, place, *_ in mounts:
        if name.startswith("/..") or not f"{name}/".startswith(root.rstrip("/") + "/"):
            continue  # what is mounted here is another part of the tree
        return (place + name.removeprefix(root.rstrip("/"))).rstrip("/")
    return None


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)

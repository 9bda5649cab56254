"""The processes of a run: started here on free ports, weighed by pid, ended by pid. None outlives the run."""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 15.0


@dataclass
class Server:
    """A running contender. `pids` are all processes whose CPU and memory count as the server's."""

    process: subprocess.Popen[str]
    port: int
    pids: list[int] = field(default_factory=list)

    def stop(self) -> None:
        end(self.process)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_python(name: str, *options: str) -> Server:
    """Start `python -m bench.serve NAME …` and wait for the line in which it says its port and pids."""
    process = spawn([sys.executable, "-m", "bench.serve", name, *options])
    told = read_json(process)
    return Server(process, told["port"], [process.pid, *told["pids"]])


def start_program(command: Sequence[str], port: int, log: Path) -> Server:
    """Start somebody else's server and wait until it accepts connections on `port`."""
    with log.open("w") as output:
        process = spawn(command, stdout=output, stderr=output)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return Server(process, port, [process.pid])
        time.sleep(0.02)
    end(process)
    raise RuntimeError(f"{command[0]} does not accept connections: {log.read_text()[-500:]}")


def run_client(module: str, *options: str, timeout: float) -> dict[str, float]:
    """Run a measuring program to its end; its last line of output is its figures as JSON."""
    process = spawn([sys.executable, "-m", f"bench.{module}", *options])
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        end(process)
    if process.returncode != 0:
        raise RuntimeError(f"bench.{module} {' '.join(options)} failed with {process.returncode}")
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def spawn(command: Sequence[str], stdout: object = subprocess.PIPE, stderr: object = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, text=True, preexec_fn=_die_with_parent
    )  # type: ignore[call-overload]


def read_json(process: subprocess.Popen[str], timeout: float = START_TIMEOUT) -> dict[str, int]:
    """The next line of output as JSON. For children that say one line and then wait."""
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], timeout)
    line = process.stdout.readline() if ready else ""
    if not line:
        end(process)
        raise RuntimeError(f"{' '.join(map(str, process.args))} ended before it was ready")
    told: dict[str, int] = json.loads(line)
    return told


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()


def free_port() -> int:
    """A port that was free a moment ago, for programs that cannot choose one and tell."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time these processes have used, all threads, finished ones too."""
    if sys.platform == "linux":
        # The clock id that clock_getcpuclockid(3) returns: ~pid << 3 | CPUCLOCK_SCHED. It counts nanoseconds;
        # /proc/PID/stat only ticks of 10 ms, too coarse for single messages.
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)
    return sum(_ps_seconds(pid) for pid in pids)


def family_cpu(pid: int) -> float:
    """CPU seconds of a process and all below it, those that have ended too."""
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(each))
        used[int(each)] = sum(map(int, fields[11:15]))
    total, ahead = 0, [pid]
    while ahead:
        one = ahead.pop()
        total += used.get(one, 0)
        ahead += children.get(one, [])
    return total / os.sysconf("SC_CLK_TCK")


def resident_bytes(pids: Sequence[int]) -> int:
    if sys.platform == "linux":
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * resource.getpagesize()
    return sum(int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) for pid in pids) * 1024


@contextmanager
def apart(pids: Sequence[int]) -> Iterator[None]:
    """Keep this process on one core and those on the others.

    Where two processes wait for each other in turn, the system may at any time put both on one core, and a round trip
    takes a quarter of what it takes across cores: which of the two was measured would be chance.
    """
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if len(cores) < 2:
        yield
        return
    _place(pids, cores[:-1])
    os.sched_setaffinity(0, cores[-1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        _place(pids, cores)


def _place(pids: Sequence[int], cores: Sequence[int]) -> None:
    for task in [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]:
        with suppress(ProcessLookupError):  # a thread may end meanwhile
            os.sched_setaffinity(int(task.name), cores)


def allow_many_files() -> int:
    """Raise the soft limit of open files to the hard one; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _ps_seconds(pid: int) -> float:
    text = subprocess.check_output(["ps", "-o", "time=", "-p", str(pid)], text=True).strip()
    seconds = 0.0
    for part in text.replace("-", ":").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _die_with_parent() -> None:
    """Runs in the child before exec: a killed bench must leave no servers behind."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    os.environ.pop("PYTHONASYNCIODEBUG", None)

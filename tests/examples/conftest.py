"""The gallery as people run it: a process on port 0. Its callers here know nothing but the socket module."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

DEADLINE = 20
ROOT = Path(__file__).parent.parent.parent
PEOPLE = 100


class Program:
    """A running program of the gallery: what it printed, what is typed at it, how it ended."""

    def __init__(self, *command: str) -> None:
        self.printed: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", "TZ": "UTC"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.address = self.until(lambda line: "://" in line)
        except AssertionError:
            self.process.kill()
            self.ended()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.printed.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The first line it printed of which this is true, as soon as there is one."""

        def found() -> "str | None":
            return next((line for line in self.printed if wanted(line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._ended, timeout=DEADLINE)
            line = found()
        assert line is not None, f"{self.printed} {self.stderr() if self._ended else ''}"
        return line

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.address.partition("://")[2].rpartition(":")
        return host, int(port)

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, if it has not ended by itself. It must have had nothing to complain of."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.ended()

    def ended(self) -> None:
        try:
            code = self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            complaints = self.stderr()
            self._reader.join(DEADLINE)
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                assert pipe is not None
                pipe.close()
        slow = re.compile(r"Executing <.* took \d+\.\d+ seconds\n")  # said by asyncio on a busy machine
        assert (code, slow.sub("", complaints)) == (0, "")


Start = Callable[..., Program]


@pytest.fixture(scope="module")
def start_script() -> Iterator[Start]:
    """Starts a Python program; each must end by itself or when told, without a word on stderr."""
    running: list[Program] = []

    def start(*command: str) -> Program:
        running.append(Program(*command))
        return running[-1]

    yield start
    for program in running:
        if program.process.returncode is None:
            program.stop()


@pytest.fixture(scope="module")
def gallery(start_script: Start) -> Start:
    """Starts a program of the gallery on a free port."""

    def start(name: str, *options: str) -> Program:
        scheme = "udp" if name in ("upper-udp", "datagram-talk") else "tcp"
        return start_script("-m", "tieline", "gallery", name, "--listen", f"{scheme}://127.0.0.1:0", *options)

    return start


Call = Callable[..., Any]


@pytest.fixture
def call() -> Iterator[Call]:
    """`call(program)` is a connected socket, as a learner would make it."""
    made: list[socket.socket] = []

    def connected(program: Program) -> socket.socket:
        caller = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        caller.settimeout(DEADLINE)
        caller.connect(program.place)
        made.append(caller)
        return caller

    yield connected
    for caller in made:
        caller.close()


@pytest.fixture
def at_once() -> Callable[[Callable[[int], Any]], list[Any]]:
    """Runs it in 100 threads at the same time, each with a number of its own."""

    def run(one: Callable[[int], Any]) -> list[Any]:
        gate = threading.Barrier(PEOPLE)

        def begin(number: int) -> Any:
            gate.wait(DEADLINE)
            return one(number)

        with ThreadPoolExecutor(PEOPLE) as pool:
            return list(pool.map(begin, range(PEOPLE)))

    return run


@pytest.fixture
def receive() -> Callable[[socket.socket, int], bytes]:
    """Reads until so many bytes are there, or no more come."""

    def exactly(caller: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size and (piece := caller.recv(size - len(data))):
            data += piece
        return data

    return exactly


@pytest.fixture
def vanish() -> Callable[[socket.socket], None]:
    """Closes with a reset, as a crashed program's machine does."""

    def cut(caller: socket.socket) -> None:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.close()

    return cut


@pytest.fixture
def flood() -> Callable[[socket.socket, bytes], int]:
    """Sends until the other side takes no more; returns how many bytes that took."""

    def send(caller: socket.socket, data: bytes) -> int:
        taken = 0
        caller.settimeout(0.3)
        try:
            while taken < 64 << 20:
                taken += caller.send(data)
        except TimeoutError:
            pass
        finally:
            caller.settimeout(DEADLINE)
        return taken

    return send

"""Real processes: a `tieline serve` that can be killed and started again where it was, and machines that joined it."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.ports import free_port

from tieline import profiles
from tieline.profiles import Profile

DEADLINE = 60.0
"Seconds after which a test has failed; nothing here ever waits so long when all is well."

LONG = bool(os.environ.get("TIELINE_LONG"))
"The stories in full length, which take minutes."


def environment(folder: Path) -> dict[str, str]:
    """That of a user whose folders all are below `folder`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIELINE_")}
    return {**clean, "TIELINE_DATA": str(folder / "data"), "TIELINE_CONFIG": str(folder / "config"), "TZ": "UTC"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tieline", *arguments]


def resident(pid: int) -> int:
    """Bytes of memory a process holds now."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


class ServerProcess:
    """`tieline serve` on one port and one data folder, however often it is started. It logs to a file beside it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "server.log"
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def unix(self) -> str:
        return f"unix:{self.data / 'tieline.sock'}"

    @property
    def tcp(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        return self.log.read_text()

    async def start(self, *, prefix: Sequence[str] = ("-m", "tieline")) -> None:
        """Returns when it serves: it says so once it listens. `prefix` is what Python is to run instead of us."""
        arguments = [sys.executable, *prefix, "serve", "--listen", f"127.0.0.1:{self.port}", *self._options]
        read, write = os.pipe()
        self._process = await asyncio.create_subprocess_exec(
            *arguments, env=environment(self.folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=write
        )
        os.close(write)
        self._listening = asyncio.ensure_future(self._listen(read))
        self._up = asyncio.Event()
        ready = asyncio.ensure_future(self._up.wait())
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait({ready, self._listening}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        assert self._up.is_set(), self.said

    async def _listen(self, read: int) -> None:
        """Write down what it says; a pipe nobody reads would hold it up."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb"))
        with self.log.open("ab") as log:
            while line := await reader.readline():
                log.write(line)
                log.flush()
                if b"serving on" in line:
                    self._up.set()
        transport.close()

    async def kill(self) -> None:
        """As a power cut would, but for the disk."""
        await self.end(signal.SIGKILL)

    def tell(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, and wait for the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(DEADLINE):
            code = await self._process.wait()
            await self._listening
        return code

    async def close(self) -> None:
        """Whatever happened, nothing of it goes on."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            await self._listening


class Machine:
    """Somebody's machine: a folder is all that tells machines apart. `prefix` is put before each command."""

    def __init__(self, folder: Path, *, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.environment = environment(folder)
        self._prefix = prefix
        self._started: list[asyncio.subprocess.Process] = []

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """A command from beginning to end: exit code, what it printed, what it said."""
        process = await self.start(*arguments)
        async with asyncio.timeout(DEADLINE):
            out, said = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return process.returncode, out.decode(), said.decode()

    async def out(self, *arguments: str, stdin: str = "") -> str:
        """What a command prints that must succeed."""
        code, out, said = await self.run(*arguments, stdin=stdin)
        assert code == 0, said
        return out

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """A command that goes on; ended with the test."""
        process = await asyncio.create_subprocess_exec(
            *self._prefix,
            *command(*arguments),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=1 << 24,
        )
        self._started.append(process)
        return process

    def profile(self, name: str = profiles.DEFAULT_NAME) -> Profile:
        """Who this machine is at the server it joined, for a Python program that runs on it."""
        before = os.environ.get("TIELINE_CONFIG")
        os.environ["TIELINE_CONFIG"] = self.environment["TIELINE_CONFIG"]
        try:
            found = profiles.read(name)
        finally:
            del os.environ["TIELINE_CONFIG"]
            if before is not None:
                os.environ["TIELINE_CONFIG"] = before
        assert found is not None
        return found

    async def close(self) -> None:
        for process in self._started:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.communicate()


def login(profile: Profile) -> dict[str, str]:
    """A profile as arguments of `tieline.connect`."""
    return {
        "address": profile.address,
        "account": profile.account,
        "device": profile.device,
        "key": profile.key,
        "pin": profile.pin,
    }


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line a command prints."""
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        return (await process.stdout.readline()).decode()

"""The command line as people run it: real processes, a real server on port 0, folders of this test's own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Environment = dict[str, str]
DEADLINE = 60


@dataclass
class Person:
    """Somebody at a shell: a data folder and a configuration folder are all that tells people apart."""

    environment: Environment
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tieline", *arguments],
            env=self.environment,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def out(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command that must succeed prints."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command that goes on."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tieline", *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        """End whatever still runs."""
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@dataclass
class Serving:
    """A running `tieline serve`, with what it said on stderr so far."""

    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def port(self) -> int:
        found = re.search(r"serving on tcp://127\.0\.0\.1:(\d+)", self.text)
        assert found, self.text
        return int(found[1])

    @property
    def ticket(self) -> str:
        found = re.search(r"tieline join '(\S+)'", self.text)
        assert found, self.text
        return found[1]

    def wait_until_up(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "serving on" in line:
                return
        raise AssertionError(f"the server ended: {self.text}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it; the exit code. Collects the rest of what it says."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            _, rest = self.process.communicate(timeout=DEADLINE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self.said.append(rest)
        return self.process.returncode


Serve = Callable[..., Serving]
People = Callable[[str], Person]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    """People by name, each with folders of their own. The owner's data folder is the server's."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TIELINE_")}

    known: list[Person] = []

    def person(name: str) -> Person:
        folders = {"TIELINE_DATA": str(tmp_path / name / "data"), "TIELINE_CONFIG": str(tmp_path / name / "config")}
        known.append(Person({**clean, **folders, "TZ": "UTC"}))
        return known[-1]

    yield person
    for each in known:
        each.end()


@pytest.fixture
def owner(people: People) -> Person:
    return people("owner")


@pytest.fixture
def serve(owner: Person) -> Iterator[Serve]:
    """Starts `tieline serve` as the owner, on a loopback port; stops whatever was started."""
    started: list[Serving] = []

    def start(*arguments: str, listen: str = "127.0.0.1:0") -> Serving:
        serving = Serving(owner.start("serve", "--listen", listen, *arguments))
        started.append(serving)
        serving.wait_until_up()
        return serving

    yield start
    for serving in started:
        if serving.process.returncode is None:
            serving.stop()  # a server that cannot stop by itself is a failure, even if nobody asked


@pytest.fixture
def server(serve: Serve) -> Serving:
    return serve()

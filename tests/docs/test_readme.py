"""What the documents tell people to type is typed here, and what they say comes out comes out.

`console` blocks are run command by command in a folder with a server of its own; in the expected output `…` stands for
anything. A command that ends in `&` runs on until the document is done. The server is started with no options but those
the words before a block tell. Python blocks are files of docs/examples.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

PAGES = [
    "README.md",
    "docs/howto/call-machines.md",
    "docs/howto/files.md",
    "docs/howto/run-a-server.md",
    "docs/howto/write-a-client.md",
    "docs/howto/write-a-service.md",
    "docs/protocol.md",
]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what it should print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def matches(expected: str, got: str) -> bool:
    pattern = ".*".join(re.escape(piece) for piece in expected.strip().split("…"))
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None


class Desk:
    """A folder, an environment and a terminal for one document. Ports are free ones instead of those in the text."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.ports = {port: str(free_port()) for port in ("7788", "7789", "7790")}
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.server: subprocess.Popen[str] | None = None
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TIELINE_")},
            "TIELINE_DATA": str(folder / "data"),
            "TIELINE_CONFIG": str(folder / "config"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        shutil.copytree(root / "docs" / "examples", folder / "docs" / "examples")
        for example in (folder / "docs" / "examples").iterdir():
            if example.is_file():
                example.write_text(self.placed(example.read_text()))

    def placed(self, text: str) -> str:
        return re.sub("778[89]|7790", lambda match: self.ports[match[0]], text)

    def run(self, command: str, expected: str) -> None:
        if command.endswith("&"):
            self.start(command.removesuffix("&"), self.placed(expected))
            return
        done = subprocess.run(
            ["bash", "-c", self.placed(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        assert matches(self.placed(expected), done.stdout), f"$ {command}\n{done.stdout}\ninstead of\n{expected}"

    def start(self, command: str, expected: str) -> None:
        """In the background; goes on when it has printed what it should."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        for line in expected.strip().splitlines():
            got = process.stdout.readline()
            assert matches(line, got), f"$ {command}\n{got}\ninstead of\n{line}"

    def serve(self, options: str = "") -> None:
        """What `make serve` runs, with everything it makes in this folder; in place of what it ran before."""
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=20)
            self.running.remove(self.server)
        self.start(f"tieline serve --listen 127.0.0.1:{self.ports['7788']} {options}", "")
        self.server = self.running[-1]
        limit = time.monotonic() + 30
        while not (self.folder / "data" / "tieline.sock").exists():
            assert time.monotonic() < limit, "tieline serve did not start"
            assert self.running[-1].poll() is None, "tieline serve ended"
            time.sleep(0.02)

    def clear(self) -> None:
        for process in self.running:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture
def desk(tmp_path: Path, root: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, root)
    try:
        yield made
    finally:
        made.clear()


@pytest.mark.requires("bash", "nc", "curl")
@pytest.mark.parametrize("page", PAGES)
def test_what_a_document_says_to_type_does_what_it_says(page: str, desk: Desk, root: Path) -> None:
    desk.serve()
    told = re.split(r"^```console\n(.*?)^```", (root / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    assert told[1::2], f"{page} has no console block any more; take it off the list"
    for words, block in zip(told[::2], told[1::2], strict=False):
        for options in re.findall(r'`make serve ARGS="(.*?)"`', words):
            desk.serve(options)
        for command, expected in commands(block):
            desk.run(command, expected)


def test_every_page_with_commands_is_run(root: Path) -> None:
    pages = [root / "README.md", *root.glob("docs/**/*.md")]
    assert {str(page.relative_to(root)) for page in pages if blocks(page.read_text(), "console")} == set(PAGES)


def test_every_python_block_is_a_file_that_is_run(root: Path) -> None:
    shown = {path.name for path in (root / "docs" / "examples").glob("*.py")}
    for page in [
        root / "README.md",
        *root.glob("docs/howto/*.md"),
        root / "docs" / "protocol.md",
        root / "docs/reference/library.md",
    ]:
        text = page.read_text()
        assert len(re.findall(r"<!-- file: \S+ -->\n```python", text)) == len(blocks(text, "python")), page.name
        shown -= {Path(name).name for name in re.findall(r"<!-- file: (\S+) -->", text)}
    assert shown == set(), "examples that no document shows"


def test_the_examples_that_test_a_service_pass(desk: Desk) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "test_todo.py"],
        cwd=desk.folder / "docs" / "examples",
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_of_the_howto_serves(desk: Desk) -> None:
    desk.start("python docs/examples/todo.py", "serving on tcp://127.0.0.1:7789".replace("7789", desk.ports["7789"]))
    where = "--server tcp://127.0.0.1:7789"
    desk.run(f"tieline call todo.add text=milk {where}", '{"id":1,"text":"milk","by":"…","done":false}')
    desk.run(f"tieline call todo.list {where}", '{"id":1,"text":"milk","by":"…","done":false}')


@pytest.mark.requires("make")
def test_the_targets_that_the_readme_names_are_there(root: Path) -> None:
    text = (root / "README.md").read_text()
    named = set(re.findall(r"^make (\w+)", "\n".join(blocks(text, "sh")), re.MULTILINE))
    named |= set(re.findall(r"`make (\w+)`", text))
    assert {"serve", "test", "check", "help"} <= named
    for target in named:
        planned = subprocess.run(["make", "-n", target], cwd=root, capture_output=True, text=True, check=False)
        assert planned.returncode == 0, planned.stderr


def test_every_block_of_the_readme_is_of_a_kind_that_is_checked(root: Path) -> None:
    kinds = re.findall(r"^```(\w*)$", (root / "README.md").read_text(), re.MULTILINE)
    assert set(kinds) - {""} == {"sh", "console", "python"}
    assert kinds.count("") == len(kinds) / 2, "a block without a kind"


def test_the_systemd_unit_of_the_agent_starts_what_there_is(root: Path, tmp_path: Path) -> None:
    unit = (root / "contrib" / "tieline-agent.service").read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    _, *arguments = start.split()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIELINE_")}
    done = subprocess.run(
        [sys.executable, "-m", "tieline", *arguments],
        env={**clean, "TIELINE_CONFIG": str(tmp_path), "TIELINE_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "none was joined" in done.stderr
    assert "RestartPreventExitStatus=2 4" in unit


def test_the_systemd_unit_of_the_server_starts_one(root: Path, desk: Desk) -> None:
    unit = (root / "contrib" / "tieline.service").read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    _, *arguments = start.replace("/var/lib/tieline", str(desk.folder / "data")).split()
    desk.start(f"tieline {' '.join(arguments)} --listen 127.0.0.1:0", '{"time": …serving on …')
    desk.run("tieline accounts --json | grep -c '\"admin\"'", "1")


@pytest.mark.requires("sqlite3", "rsync")
def test_the_backup_of_the_howto_can_be_restored(root: Path, desk: Desk) -> None:
    text = (root / "docs" / "howto" / "run-a-server.md").read_text()
    back_up, restore = (block for block in blocks(text, "sh") if "/backup/" in block)
    for folder in ("/var/lib/tieline", "/backup"):
        there = str(desk.folder / ("data" if folder != "/backup" else "backup"))
        back_up, restore = back_up.replace(folder, there), restore.replace(folder, there)
    desk.serve()
    desk.run('tieline join "$(tieline invite ada --can chat,files)" --profile ada', "…")
    desk.run("echo kept > kept.txt && tieline put kept.txt --to lobby --profile ada", "…")
    (desk.folder / "backup").mkdir()
    desk.run(back_up, "")
    desk.run("tieline say lobby 'said since'", "")
    desk.clear()
    desk.running.clear()
    desk.server = None
    shutil.rmtree(desk.folder / "data")
    (desk.folder / "data").mkdir(mode=0o700)
    desk.run("\n".join(line for line in restore.splitlines() if not line.startswith("chown")), "")
    desk.serve()
    desk.run("tieline get /rooms/lobby/kept.txt - --profile ada", "kept")
    desk.run(
        "tieline say lobby 'said after' --profile ada && tieline tail lobby", "…put /rooms/lobby/kept.txt…said after"
    )


@pytest.mark.requires("systemd-analyze")
@pytest.mark.parametrize("name", ["tieline-agent.service", "tieline.service"])
def test_systemd_understands_the_units(name: str, root: Path, tmp_path: Path) -> None:
    unit = (root / "contrib" / name).read_text()
    here = tmp_path / name
    here.write_text(unit.replace("/usr/local/bin/tieline", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if here.name in line]
    assert complaints == []

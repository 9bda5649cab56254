"""What all programs of the gallery have in common."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tieline.apps import gallery as shelf

ROOT = Path(__file__).parent.parent.parent
OPTIONS = {
    "verified-json": ("--key", "k"),
    "verified-hello": ("--key", "k"),
    "command": ("--allow", "echo"),
    "counter-demo": ("--stay",),
}
DATAGRAMS = ("upper-udp", "datagram-talk")


def options(name: str, tmp_path: Path) -> tuple[str, ...]:
    return ("--into", str(tmp_path)) if name == "upload" else OPTIONS.get(name, ())


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_without_a_name_it_lists_what_there_is() -> None:
    listed = run("-m", "tieline", "gallery")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(shelf.NAMES)
    assert all(len(line) < 120 and len(line.split()) > 3 for line in listed.stdout.splitlines())


def test_an_unknown_name_is_told_the_names() -> None:
    told = run("-m", "tieline", "gallery", "uper")
    assert told.returncode == 2
    assert "upper" in told.stderr


@pytest.mark.parametrize("name", shelf.NAMES)
def test_each_explains_itself_and_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        shelf.program(name).main(["--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0
    assert f"usage: tieline gallery {name}" in told
    assert "--listen ADDRESS" in told


@pytest.mark.parametrize("name", shelf.NAMES)
def test_an_address_that_is_none_is_one_sentence(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        shelf.program(name).main(["--listen", "tcp://host:port", *options(name, tmp_path)])
    assert left.value.code == 2
    assert "port" in capsys.readouterr().err


def test_the_examples_are_these_files_and_fit_on_a_screen() -> None:
    there = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert there == {f"{name.replace('-', '_')}.py" for name in shelf.NAMES}
    for name in there:
        text = (ROOT / "examples" / name).read_text()
        assert text == (Path(shelf.__file__).parent / name).read_text()
        assert len(text.splitlines()) <= 100, name


@pytest.mark.parametrize("name", shelf.NAMES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_while_somebody_is_there(gallery, call, tmp_path, name, number) -> None:
    program = gallery(name, *options(name, tmp_path))
    if name not in DATAGRAMS:
        call(program).send(b"half a mess")
    program.stop(number)
    kind = socket.SOCK_DGRAM if name in DATAGRAMS else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(program.place)


@pytest.mark.parametrize("name", ["upper", "counter-demo"])
def test_an_example_runs_by_itself(start_script, name) -> None:
    program = start_script(f"examples/{name.replace('-', '_')}.py", "--listen", "tcp://127.0.0.1:0")
    program.stop()


@pytest.mark.parametrize(
    ("name", "wrong", "named"),
    [
        ("verified-json", ("--key", ""), "key"),
        ("verified-json", ("--key", "k", "--digest", "md6"), "digest"),
        ("verified-hello", ("--key", ""), "key"),
        ("groupchat", ("--encoding", "utf-99"), "encoding"),
        ("groupchat", ("--encoding", "utf-16", "--chunks"), "encoding"),
        ("upload", ("--into", __file__), __file__),
        ("counter-demo", ("--count", "many"), "--count"),
        ("talk", ("--dial", "tcp://127.0.0.1:1"), "127.0.0.1:1"),
    ],
)
def test_an_option_that_cannot_be_is_named(name, wrong, named, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        shelf.program(name).main(["--listen", "tcp://127.0.0.1:0", *wrong])
    assert left.value.code
    assert named in capsys.readouterr().err

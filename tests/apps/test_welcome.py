"""What a server says when it is up: something to type for everybody, and nothing that does not work."""

import io
import sys
from ipaddress import ip_interface
from pathlib import Path

import pytest

from tieline.apps.cli import welcome
from tieline.apps.cli.welcome import Running, local_port, plain, program, reachable, show

PIN = "ab" * 32
TICKET = f"tieline://192.168.7.2:7788/ada?pin={PIN}#{'s' * 200}"


@pytest.fixture(autouse=True)
def lan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        welcome, "own_interfaces", lambda: [ip_interface("192.168.7.2/24"), ip_interface("2001:db8::2/64")]
    )


def running(*addresses: str, **others: object) -> Running:
    return Running(name="lab", addresses=addresses, data=Path("/srv/tieline"), pin=PIN, **others)  # type: ignore[arg-type]


def test_all_addresses_become_those_that_others_can_use() -> None:
    assert [place.where for place in reachable([":7788", "unix:/s"])] == ["192.168.7.2:7788", "[2001:db8::2]:7788"]
    assert [place.where for place in reachable(["0.0.0.0:7788"])] == ["192.168.7.2:7788"]
    assert [place.where for place in reachable(["lab.example:99", "127.0.0.1:1"])] == ["lab.example:99"]


def test_plain_text_is_offered_only_where_it_is_served() -> None:
    assert local_port([":7788"]) == 7788
    assert local_port(["tcp://127.0.0.1:5"]) == 5
    assert local_port(["tls://:7788", "tcp://192.168.7.2:7", "unix:/s"]) is None


def test_a_newcomer_reads_what_to_type() -> None:
    text = "\n".join(plain(running(":7788", owner="ada", ticket=TICKET)))
    assert f"tieline join '{TICKET}'" in text.splitlines()[4]
    assert "tieline chat" in text
    assert "nc localhost 7788" in text
    assert "openssl s_client -quiet -connect 192.168.7.2:7788" in text
    assert "https://192.168.7.2:7788/" in text
    assert PIN in text


def test_where_the_shell_would_not_find_the_program_its_path_is_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    script = folder / "tieline"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    assert program(folder, tmp_path) == ".venv/bin/tieline"
    assert program(folder, Path("/srv")) == str(script)
    assert program(tmp_path, tmp_path) == "tieline"
    monkeypatch.setenv("PATH", str(folder))
    assert program(folder, tmp_path) == "tieline"
    text = "\n".join(plain(running("127.0.0.1:7788", program=".venv/bin/tieline")))
    assert ".venv/bin/tieline chat" in text
    assert ".venv/bin/tieline invite NAME" in text


def test_the_ticket_is_not_shown_again() -> None:
    assert "tieline join" not in "\n".join(plain(running(":7788", owner="ada")))


def test_a_server_for_this_machine_only_promises_no_more() -> None:
    text = "\n".join(plain(running("127.0.0.1:7788")))
    assert "192.168" not in text
    assert "this machine only" in text


def test_another_data_folder_is_part_of_what_to_type() -> None:
    assert "TIELINE_DATA=/srv/tieline tieline chat" in "\n".join(plain(running(":7788", found=False)))


def test_openness_is_said() -> None:
    text = "\n".join(plain(running(":7788", guests=True, allow_plain=True)))
    assert "without an account" in text
    assert "can be read on the way" in text


def test_on_a_terminal_the_ticket_stays_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show(running(":7788", owner="ada", ticket=TICKET))
    assert TICKET in terminal.getvalue()
    assert PIN in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert "without installing" in terminal.getvalue()

"""`tieline put get sync` as people type them."""

import json
import os
from pathlib import Path

from tests.apps.conftest import Person, Serving


def test_a_folder_goes_up_and_comes_back(server: Serving, owner: Person, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(os.urandom(100_000))
    (source / "b").write_text("hello")
    first = owner.run("put", str(source), "/lab/")
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr.startswith("put 2 files, 97.7 KiB") or first.stderr.startswith("put 2 files, 98 KiB")
    done = json.loads(owner.out("put", str(source), "/lab/", "--json").splitlines()[-1])
    assert (done["event"], done["files"], done["skipped"], done["failed"]) == ("done", 0, 2, [])
    owner.out("get", "/lab/source", str(tmp_path / "back"))
    assert (tmp_path / "back" / "a").read_bytes() == (source / "a").read_bytes()
    assert owner.out("get", "/lab/source/b", "-") == "hello"


def test_standard_input_goes_up_under_a_name(server: Serving, owner: Person) -> None:
    assert owner.run("put", "-", "/lab/log.txt", stdin="one\ntwo\n").returncode == 0
    assert owner.out("get", "/lab/log.txt", "-") == "one\ntwo\n"
    assert owner.run("put", "-", "/lab/", stdin="x").returncode == 2
    assert owner.run("put", "-", "/lab/", "--as", "named", stdin="x").returncode == 0
    assert owner.out("get", "/lab/named", "-") == "x"


def test_what_fails_is_named_and_the_exit_code_says_so(server: Serving, owner: Person, tmp_path: Path) -> None:
    (tmp_path / "fine").write_text("x")
    done = owner.run("put", str(tmp_path / "fine"), str(tmp_path / "nothing"), "/lab/")
    assert done.returncode == 1
    assert "nothing: no such file or directory" in done.stderr
    assert "1 failed" in done.stderr
    assert owner.out("ls", "/lab") == "fine\n"


def test_sync_says_what_it_would_do_and_does_just_that(server: Serving, owner: Person, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "new").write_text("x")
    owner.out("mkdir", "-p", "/there/old")
    plan = owner.out("sync", "--dry-run", "--delete", str(here), "/there")
    assert plan == "put     new\ndelete  old\n"
    assert owner.out("ls", "/there") == "old/\n"
    assert owner.run("sync", "--delete", str(here), "/there").returncode == 0
    assert owner.out("ls", "/there") == "new\n"
    assert owner.run("sync", "--down", str(tmp_path / "other"), "/there").returncode == 0
    assert (tmp_path / "other" / "new").read_text() == "x"


def test_a_room_is_told_of_what_was_put_for_it(server: Serving, owner: Person, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_text("x")
    assert owner.run("put", str(tmp_path / "report.pdf"), "--to", "lobby").returncode == 0
    told = owner.out("tail", "lobby", "--last", "1")
    assert "put /rooms/lobby/report.pdf (1 B, blake3 " in told
    assert owner.out("get", "/rooms/lobby/report.pdf", "-") == "x"


def test_a_destination_beside_a_room_is_said_to_be_too_much(server: Serving, owner: Person, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("fine")
    done = owner.run("put", str(tmp_path / "report"), "/lab/", "--to", "lobby")
    assert done.returncode == 2
    assert "leave /lab/ out" in done.stderr

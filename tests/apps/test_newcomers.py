"""What people type who have never seen it, and what they then read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tieline.apps.cli.commands import SECTIONS

from .conftest import DEADLINE, People, Person, Serving


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant(people: People) -> None:
    done = people("eve").run("chta")
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith("No such command 'chta'. Did you mean chat?")
    assert people("eve").run("frobnicate").stderr.rstrip().endswith("No such command 'frobnicate'.")


def test_help_is_a_word_too(people: People) -> None:
    eve = people("eve")
    assert eve.out("help") == eve.out("--help")
    assert eve.out("help", "put") == eve.out("put", "--help")


def test_a_used_ticket_says_where_a_new_one_comes_from(server: Serving, people: People, owner: Person) -> None:
    ticket = owner.out("invite", "ada").strip()
    people("ada").out("join", ticket)
    again = people("bob").run("join", ticket)
    assert again.returncode == 4
    assert "A ticket is good once and for a while: ask for a new one" in again.stderr


def test_who_joined_under_another_name_than_the_default_is_told_it(
    server: Serving, people: People, owner: Person
) -> None:
    ada = people("ada")
    ada.out("join", owner.out("invite", "ada").strip(), "--profile", "lab")
    done = ada.run("rooms")
    assert done.returncode == 2
    assert "say --profile lab" in done.stderr
    assert "none was joined" not in done.stderr


def test_a_room_that_is_misspelt_is_seen_to_be_new(server: Serving, owner: Person) -> None:
    assert owner.run("say", "lobby", "hi").stderr == ""
    assert owner.run("say", "loby", "hi").stderr == "loby is a new room; `tieline rooms` lists them.\n"
    assert owner.run("say", "loby", "hi again").stderr == ""
    nothing = owner.run("tail", "lobbby")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "Nothing was said in lobbby yet; `tieline rooms` lists the rooms.\n"


def test_sessions_say_what_run_says_where_no_commands_are_run(server: Serving, owner: Person) -> None:
    sessions, run = owner.run("sessions"), owner.run("run", "--", "true")
    assert sessions.stderr == run.stderr
    assert "--allow-shell" in sessions.stderr
    assert "no session 'x'" not in owner.run("sessions", "--end", "x").stderr


@pytest.mark.parametrize("command", [("put", "bad\udcff"), ("ls", "/bad\udcff"), ("tail", "bad\udcff")])
def test_a_name_that_is_no_utf8_is_refused_in_a_sentence(
    command: tuple[str, str], server: Serving, owner: Person, tmp_path: Path
) -> None:
    (tmp_path / "bad\udcff").write_text("x")
    words = [os.fsencode(word) for word in (sys.executable, "-m", "tieline", *command)]
    done = subprocess.run(words, env=owner.environment, cwd=tmp_path, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"bad\\udcff' is not UTF-8" in done.stderr


def test_a_data_folder_that_is_a_file_is_called_that(people: People, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("x")
    done = people("eve").run("serve", "--data", str(file))
    assert (done.returncode, done.stderr) == (2, f"tieline: data: {file} is no folder; choose another with --data\n")


def test_a_wrong_address_to_listen_at_is_shown_as_it_was_typed(people: People) -> None:
    said = people("eve").run("serve", "--listen", "foo:bar").stderr
    assert said.startswith("tieline: listen: 'foo:bar' from the flag --listen cannot be used")


def test_a_path_that_is_not_there_is_named_once(server: Serving, owner: Person) -> None:
    assert owner.run("get", "/nosuch").stderr.startswith("tieline: there is no /nosuch\n")


def test_following_a_room_ends_when_its_reader_has_gone(server: Serving, owner: Person) -> None:
    owner.out("say", "lobby", "one")
    following = owner.start("tail", "lobby", "-f")
    assert following.stdout is not None
    assert following.stdout.readline().endswith(": one\n")
    following.stdout.close()
    assert following.wait(DEADLINE) == 141  # nothing more is said, and still it ends
    following.stdout = None


def test_an_option_of_a_command_before_its_name_is_told_where_it_goes(people: People) -> None:
    done = people("eve").run("--server", "127.0.0.1", "rooms")
    assert done.returncode == 2
    assert "No option --server here: options of a command stand behind its name." in done.stderr


def test_a_time_to_wait_is_a_span_everywhere(server: Serving, owner: Person, people: People) -> None:
    assert owner.run("rooms", "--timeout", "2m").returncode == 0
    wrong = owner.run("rooms", "--timeout", "soon")
    assert wrong.returncode == 2
    assert "'soon' is not a span of time; write 90s" in wrong.stderr


def test_help_has_every_command_in_one_of_its_sections(people: People) -> None:
    text = people("eve").out("--help")
    for title, names in SECTIONS.items():
        section = text.split(f"\n{title}:\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == list(names)


@pytest.mark.parametrize(("command", "choice"), [("gallery", "counter-demo"), ("completion", "fish")])
def test_a_wrong_choice_is_answered_with_what_there_is_once(command: str, choice: str, people: People) -> None:
    done = people("eve").run(command, "nope")
    assert done.returncode == 2
    assert done.stderr.count(choice) == 1


def test_a_ticket_that_is_empty_is_called_that(people: People) -> None:
    done = people("eve").run("join", "")
    assert done.returncode == 2
    assert done.stderr.startswith("tieline: ticket: it is empty; `tieline invite NAME`")

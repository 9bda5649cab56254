"""What a shell is offered when somebody presses Tab; asked as the completion script asks."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DEADLINE, Person, Serving


def offered(person: Person, line: str) -> list[str]:
    """What is offered for the last word of the line, which may be empty."""
    environment = {
        **person.environment,
        "_TIELINE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tieline"], env=environment, capture_output=True, text=True, timeout=DEADLINE
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [each.removeprefix("plain,") for each in done.stdout.split()]


@pytest.fixture
def house(server: Serving, owner: Person) -> Person:
    owner.out("say", "builds", "hi")
    owner.out("invite", "ada")
    owner.out("mkdir", "-p", "/lab/run-1", "/library", "/lab/with space")
    (Path(owner.environment["TIELINE_DATA"]) / "files" / "lab" / "a.txt").write_text("x")
    return owner


def test_rooms_names_methods_and_paths_are_offered(house: Person) -> None:
    for line, names in (
        ("tieline say ", ["builds", "lobby"]),
        ("tieline put --to b", ["builds"]),
        ("tieline allow ad", ["ada"]),
        ("tieline call echo.u", ["echo.upper"]),
        ("tieline ls /l", ["/lab/", "/library/"]),
        ("tieline ls l", ["lab/", "library/"]),
        ("tieline get /lab", ["/lab/", "/lab/a.txt", "/lab/run-1/"]),  # the only one, and so what is in it
        ("tieline put x /lab/r", ["/lab/run-1/"]),
        ("tieline rm /lab/a.txt /nothing/", []),
    ):
        assert offered(house, line) == names, line


def test_of_this_machine_the_shell_itself_offers_paths(house: Person) -> None:
    for line in ("tieline put re", "tieline put x re", "tieline put x /nothing-like-it", "tieline get /lab/a.txt re"):
        assert offered(house, line) == [f"file,{line.rpartition(' ')[2]}"], line


def test_where_nobody_answers_nothing_is_offered(owner: Person) -> None:
    for line in ("tieline say ", "tieline ls /", "tieline run --on ", "tieline say --server nonsense:x "):
        assert offered(owner, line) == [], line

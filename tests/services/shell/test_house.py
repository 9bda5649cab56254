"""Which file a command is, which variables it gets, and how many may run."""

import os
from pathlib import Path

import pytest

from tieline.errors import Denied, InvalidArgument, LimitExceeded, NotFound, Overloaded
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.services.shell.environment import check, find, kept
from tieline.services.shell.house import House
from tieline.services.shell.running import signal_name
from tieline.store.shell import Rule

from .unwritten import NoAudit

ADA, BOB = (Identity(name, "laptop", frozenset({"shell"})) for name in ("ada", "bob"))
PATH = "/usr/bin:/bin"


class Narrow:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    async def rule(self, account: str) -> Rule:
        return self._rule

    def forget(self, account: str) -> None:
        pass


def house(limits: Limits | None = None, rule: Rule | None = None) -> House:
    return House(limits or Limits(), Narrow(rule or Rule()), NoAudit())


def program(folder: Path, name: str = "tool") -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_a_name_is_looked_for_in_path_and_never_in_the_folder(tmp_path: Path) -> None:
    file = program(tmp_path)
    assert find("tool", "/", f"/nowhere:{tmp_path}") == str(file)
    for path in ("", ".", ":", f".:{PATH}"):
        with pytest.raises(NotFound):
            find("tool", str(tmp_path), path)
    assert os.path.samefile(find("./tool", str(tmp_path), PATH), file)


def test_a_command_starts_at_home_or_where_its_caller_says_or_at_the_root_where_there_is_no_home(
    tmp_path: Path,
) -> None:
    home, none = {"HOME": str(tmp_path)}, {"HOME": str(tmp_path / "none")}
    assert house().folder("", home) == str(tmp_path)
    assert house().folder("sub", home) == str(tmp_path / "sub")
    assert house().folder("", none) == "/"
    assert house().folder("/srv", none) == "/srv"


def test_what_cannot_be_run_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    for name in (str(tmp_path / "text"), str(tmp_path)):
        with pytest.raises(Denied):
            find(name, "/", PATH)
    with pytest.raises(NotFound):
        find("text", "/", str(tmp_path))


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PYTHONPATH", "PATH", "BASH_FUNC_ls%%", "TIELINE_COMMAND", "PERL5OPT", "IFS"]
)
def test_variables_that_change_what_runs_are_refused(name: str) -> None:
    with pytest.raises((Denied, InvalidArgument)):
        check({name: "x"})


@pytest.mark.parametrize("name", ["NODE_ENV", "JAVA_HOME", "LDAP_URI", "TERM", "LC_ALL", "HOME", "A", "_x9"])
def test_others_are_not(name: str) -> None:
    check({name: "x"})


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("A=B", "x"), ("9", "x"), ("A B", "x"), ("A", "x\0y")])
def test_what_is_no_variable_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidArgument):
        check({name: value})


def test_little_is_kept_of_the_machines_own() -> None:
    own = {"PATH": "/bin", "SECRET": "x", "LC_TIME": "C", "LD_PRELOAD": "x", "HOME": "/home/x"}
    assert kept(own) == {"PATH": "/bin", "LC_TIME": "C", "HOME": "/home/x"}


async def test_a_program_is_known_by_its_folder_and_its_own_name(tmp_path: Path) -> None:
    """Busybox and its like do what they are called: another name of the same file is another program."""
    real = tmp_path / "real"
    real.mkdir()
    program(real, "box")
    (real / "list").symlink_to(real / "box")
    (tmp_path / "other").symlink_to(real)
    narrow = house(rule=Rule(commands=("list",)))
    path = str(real)
    assert await narrow.program(ADA, "list", "/", path, {}) == str(real / "list")
    assert await narrow.program(ADA, str(tmp_path / "other" / "list"), "/", path, {})
    for name in ("box", str(real / "box")):
        with pytest.raises(Denied):
            await narrow.program(ADA, name, "/", path, {})
    with pytest.raises(Denied):
        await narrow.program(ADA, "list", "/", path, {"EDITOR": "x"})


async def test_no_program_at_all_is_a_rule_too() -> None:
    with pytest.raises(Denied):
        await house(rule=Rule(commands=())).program(ADA, "true", "/", PATH, {})


def test_a_command_line_has_a_bound() -> None:
    with pytest.raises(LimitExceeded):
        house(Limits(command_line=100)).check_size(["echo", "x" * 100], {})
    for argv in ([], [""], ["a\0b"]):
        with pytest.raises(InvalidArgument):
            house().check_size(argv, {})


def test_one_account_leaves_room_for_the_others() -> None:
    full = house(Limits(commands=3, commands_per_account=2))
    mark = full.enter(ADA)
    full.enter(ADA)
    with pytest.raises(Overloaded):
        full.enter(ADA)
    full.enter(BOB)
    with pytest.raises(Overloaded):
        full.enter(BOB)
    full.leave(mark)
    full.enter(ADA)
    assert len(full) == 3


def test_every_signal_has_a_name() -> None:
    assert [signal_name(number) for number in (9, 15, 40, 64)] == ["SIGKILL", "SIGTERM", "SIGRTMIN+6", "SIGRTMAX"]
    assert all(signal_name(number) for number in range(1, 65))

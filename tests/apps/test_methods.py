"""`tieline methods`: for people as narrow as their terminal is, for programs as JSON."""

import json

import pytest

from tieline.apps.cli.methods import lines

from .conftest import Person, Serving

ENTRY = {
    "name": "accounts.allow",
    "signature": "(account: str, can: list[str] | None = None, machines: list[str] = []) -> stream of str",
    "scope": "admin",
    "about": "Set what an account may do at most; its links end.",
}


@pytest.mark.parametrize("columns", [80, 40])
def test_a_method_is_no_wider_than_the_terminal(columns: int) -> None:
    shown = list(lines(ENTRY, columns))
    assert max(map(len, shown)) <= columns + len("\x1b[1m\x1b[0m")
    assert shown[0].startswith("\x1b[1maccounts.allow\x1b[0m(account: str,")
    assert "".join(shown).count("(needs admin)") == 1


def test_where_nobody_looks_each_is_a_line_that_can_be_searched() -> None:
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines(ENTRY)] == [
        f"{ENTRY['name']}{ENTRY['signature']}",
        f"  {ENTRY['about']} (needs admin)",
    ]


def test_what_a_machine_says_of_its_methods_cannot_act_on_the_terminal() -> None:
    entry = {"name": "x", "signature": "(\x1b[2J)", "scope": None, "about": "a\nb"}
    assert list(lines(entry)) == ["\x1b[1mx\x1b[0m(␛[2J)", "  a␊b"]


def test_methods_are_listed_for_people_and_for_programs(server: Serving, owner: Person) -> None:
    listed = json.loads(owner.out("methods", "accounts.", "--json"))
    assert {"name": "accounts.list", "signature": "(after: str = '') -> list[ListedAccount]"}.items() <= listed[
        3
    ].items()
    assert "tieline." not in owner.out("methods")
    assert owner.out("methods", "accounts.list").startswith(
        "accounts.list(after: str = '') -> list[ListedAccount]\n  Accounts with"
    )
    assert owner.run("methods", "nope").stderr == "There is no method that begins with nope.\n"

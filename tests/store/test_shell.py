"""Commands that ran, and rules, as they are kept."""

from collections.abc import AsyncIterator

import pytest

from tieline.store.shell import Begun, Rule
from tieline.store.sqlite import SqliteStore


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    async with SqliteStore(":memory:") as opened:
        yield opened


def begun(number: int, account: str = "ada", target: str = "") -> Begun:
    argv = ["echo", "two words", str(number)]
    return Begun(f"id-{number}", account, "laptop", "192.0.2.1", target, "run", argv, "/srv", 1000 + number)


async def test_the_newest_come_first_and_page_by_page(store: SqliteStore) -> None:
    for number in range(5):
        await store.command_begun(begun(number), keep=100)
    first = await store.commands(account=None, before=None, limit=2)
    assert [entry.begun for entry in first] == [begun(4), begun(3)]
    second = await store.commands(account=None, before=first[-1].number, limit=10)
    assert [entry.begun for entry in second] == [begun(2), begun(1), begun(0)]


async def test_an_end_is_told_once_and_only_by_the_machine_it_ran_on(store: SqliteStore) -> None:
    await store.command_begun(begun(1, target="eve/box"), keep=100)
    await store.command_ended("id-1", "", 2000, "exit 0", 10)
    await store.command_ended("id-1", "eve/box", 2001, "exit 1", 11)
    await store.command_ended("id-1", "eve/box", 2002, "exit 2", 12)
    [entry] = await store.commands(account="ada", before=None, limit=10)
    assert (entry.ended, entry.outcome, entry.out) == (2001, "exit 1", 11)
    assert await store.commands(account="bob", before=None, limit=10) == []


async def test_the_oldest_go_when_there_are_too_many(store: SqliteStore) -> None:
    for number in range(10):
        await store.command_begun(begun(number), keep=3)
    entries = await store.commands(account=None, before=None, limit=100)
    assert [entry.begun.id for entry in entries] == ["id-9", "id-8", "id-7"]


async def test_after_a_crash_what_ran_here_is_over_and_what_ran_elsewhere_is_not(store: SqliteStore) -> None:
    await store.command_begun(begun(1), keep=100)
    await store.command_begun(begun(2, target="eve/box"), keep=100)
    await store.commands_lost(5000)
    elsewhere, here = await store.commands(account=None, before=None, limit=10)
    assert (here.ended, here.outcome) == (5000, "the server was killed")
    assert elsewhere.ended is None


async def test_rules_are_kept_by_account_and_taken_back(store: SqliteStore) -> None:
    await store.set_rule("ada", Rule(targets=("lab-*",), commands=None))
    await store.set_rule("bob", Rule(targets=None, commands=()))
    assert await store.rules() == {"ada": Rule(("lab-*",), None), "bob": Rule(None, ())}
    await store.set_rule("ada", Rule())
    assert await store.rules() == {"bob": Rule(None, ())}


def test_a_rule_covers_machines_by_either_name() -> None:
    assert Rule().covers("anything")
    rule = Rule(targets=("lab-*", "eve/box"))
    assert [rule.covers(name) for name in ("ada/lab-1", "lab-2", "eve/box", "bob/box", "server")] == [True] * 3 + [
        False
    ] * 2

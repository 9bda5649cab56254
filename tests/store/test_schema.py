"""Migrations: old databases come up to date, newer ones are refused, a step that fails leaves nothing behind."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tieline.errors import ConfigError
from tieline.store.schema import MIGRATIONS, migrate
from tieline.store.sqlite import SqliteStore


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    yield db
    db.close()


def tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_every_step_is_recorded_and_done_once(db: sqlite3.Connection) -> None:
    migrate(db)
    migrate(db)
    recorded = db.execute("SELECT number, title FROM migrations ORDER BY number").fetchall()
    assert recorded == [(number, title) for number, (title, _) in enumerate(MIGRATIONS, 1)]
    assert {"accounts", "devices", "tickets", "rooms", "messages", "markers"} <= tables(db)


def test_an_old_database_gets_the_steps_it_lacks_and_keeps_its_rows(db: sqlite3.Connection) -> None:
    migrate(db, MIGRATIONS[:1])
    db.execute("INSERT INTO accounts VALUES ('ada', 'chat', 1, NULL)")
    assert "messages" not in tables(db)
    migrate(db)
    assert "messages" in tables(db)
    assert db.execute("SELECT name FROM accounts").fetchall() == [("ada",)]


def test_a_step_that_was_added_before_others_is_made_up_for(db: sqlite3.Connection) -> None:
    """As between two versions that were being worked on side by side."""
    migrate(db, [*MIGRATIONS[:2], *MIGRATIONS[4:6]])
    assert {"machines", "commands"} & tables(db) == set()
    migrate(db)
    assert {"machines", "commands", "files", "tokens", "changes"} <= tables(db)
    recorded = dict(db.execute("SELECT title, number FROM migrations").fetchall())
    assert recorded.keys() == {title for title, _ in MIGRATIONS}
    assert sorted(recorded.values()) == list(range(1, len(MIGRATIONS) + 1))


def test_a_step_that_fails_leaves_nothing_behind(db: sqlite3.Connection) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE half_done (x)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        migrate(db, [*MIGRATIONS, ("half", half)])
    assert "half_done" not in tables(db)
    assert db.execute("SELECT max(number) FROM migrations").fetchone() == (len(MIGRATIONS),)


async def test_a_newer_database_is_refused_in_a_sentence_and_left_alone(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path) as store:
        await store.post("lobby", "ada", "hi", "1", 0)
    with sqlite3.connect(tmp_path / "tieline.db") as db:
        db.execute("INSERT INTO migrations VALUES (99, 'from the future', 0)")
    db.close()
    with pytest.raises(ConfigError, match=r"newer Tieline \(its step 99, this version knows \d+\): upgrade Tieline"):
        await SqliteStore(tmp_path).open()
    with sqlite3.connect(tmp_path / "tieline.db") as db:
        db.execute("DELETE FROM migrations WHERE number = 99")
    db.close()
    async with SqliteStore(tmp_path) as store:
        assert await store.head("lobby") == 1


async def test_a_file_that_is_no_database_is_named_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tieline.db").write_bytes(b"this is not a database, it is a letter to a friend" * 100)
    with pytest.raises(ConfigError, match="cannot be opened: file is not a database"):
        await SqliteStore(tmp_path).open()

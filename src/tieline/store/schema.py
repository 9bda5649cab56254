"""The tables, as a row of migrations: an old database is brought up to date, a newer one is refused in a sentence.

Each migration is one transaction that also records itself. One that has been released is never edited.
"""

import sqlite3
import time
from collections.abc import Callable

from tieline.errors import ConfigError

Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: list[tuple[str, Migration]] = []

POSITION_BITS = 40
"A message's key is its room's number and its position in one integer, so a room is a range of one table's keys."


def migration(title: str) -> Callable[[Migration], Migration]:
    """Decorator: the next step of the schema."""

    def register(step: Migration) -> Migration:
        MIGRATIONS.append((title, step))
        return step

    return register


def migrate(db: sqlite3.Connection, steps: list[tuple[str, Migration]] = MIGRATIONS) -> None:
    """Bring the tables up to date. Raises ConfigError for a database that is newer than this code."""
    db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, title TEXT NOT NULL, at INTEGER)")
    done: int = db.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()[0]
    if done > len(steps):
        raise ConfigError(
            "data",
            f"the database was written by a newer Tieline (its step {done}, this version knows {len(steps)}): "
            "upgrade Tieline, or start with another data folder",
        )
    for number, (title, step) in enumerate(steps[done:], done + 1):
        _apply(db, number, title, step)


def _apply(db: sqlite3.Connection, number: int, title: str, step: Migration) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        step(db)
        db.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, title, int(time.time() * 1000)))
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _each(db: sqlite3.Connection, script: str) -> None:
    # Not executescript(): that commits first, and a migration is one transaction.
    for statement in script.split(";"):
        db.execute(statement)


@migration("accounts, their devices and tickets, and the server's own secrets")
def _accounts(db: sqlite3.Connection) -> None:
    _each(
        db,
        """
        CREATE TABLE accounts (
            name TEXT PRIMARY KEY, scopes TEXT NOT NULL, created INTEGER NOT NULL, revoked INTEGER
        ) WITHOUT ROWID;
        CREATE TABLE devices (
            account TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL, verifier BLOB NOT NULL,
            created INTEGER NOT NULL, PRIMARY KEY (account, name)
        ) WITHOUT ROWID;
        CREATE TABLE tickets (
            id TEXT PRIMARY KEY, account TEXT NOT NULL, scopes TEXT NOT NULL, verifier BLOB NOT NULL,
            created INTEGER NOT NULL, expires INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID
        """,
    )


@migration("rooms, messages and read markers")
def _chat(db: sqlite3.Connection) -> None:
    # One key instead of (room, position) saves an index, and a plain rowid is what a full-text index joins on.
    # The id stands before the author: clients' ids begin with the time, so that a batch by many authors writes to one
    # page of the index, not to one for each of them.
    _each(
        db,
        """
        CREATE TABLE rooms (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, one TEXT, other TEXT,
            topic_line TEXT NOT NULL DEFAULT ''
        );
        CREATE TABLE messages (
            key INTEGER PRIMARY KEY, at INTEGER NOT NULL, author TEXT NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL
        );
        CREATE UNIQUE INDEX message_ids ON messages (id, author);
        CREATE TABLE markers (
            account TEXT NOT NULL, room INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (account, room)
        ) WITHOUT ROWID
        """,
    )

"""The tables, as a row of migrations: an old database is brought up to date, a newer one is refused in a sentence.

Each migration is one transaction that also records itself, by its title: two that were written side by side may have
been applied in either order. One that has been released is never edited.
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
    done: dict[str, int] = dict(db.execute("SELECT title, number FROM migrations"))
    unknown = done.keys() - {title for title, _ in steps}
    if unknown:
        raise ConfigError(
            "data",
            f"the database was written by a newer Tieline (its step {max(done[title] for title in unknown)}, this "
            f"version knows {len(steps)}): upgrade Tieline, or start with another data folder",
        )
    number = max(done.values(), default=0)
    for title, step in steps:
        if title not in done:
            number += 1
            _apply(db, number, title, step)


def _apply(db: sqlite3.Connection, number: int, title: str, step: Migration) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        step(db)
        db.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, title, int(time.time() * 1000)))
    except BaseException:  # whatever it was: half a step must not be there
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


@migration("when each machine was last here")
def _machines(db: sqlite3.Connection) -> None:
    db.execute(
        """
        CREATE TABLE machines (
            account TEXT NOT NULL, device TEXT NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (account, device)
        ) WITHOUT ROWID
        """
    )


@migration("commands that ran, and who may run which")
def _shell(db: sqlite3.Connection) -> None:
    _each(
        db,
        """
        CREATE TABLE commands (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, account TEXT NOT NULL, device TEXT NOT NULL,
            address TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, argv TEXT NOT NULL, folder TEXT NOT NULL,
            at INTEGER NOT NULL, ended INTEGER, outcome TEXT NOT NULL DEFAULT '', out INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX commands_of ON commands (account, number);
        CREATE INDEX commands_on ON commands (target, number);
        CREATE TABLE shell_rules (account TEXT PRIMARY KEY, targets TEXT, commands TEXT) WITHOUT ROWID
        """,
    )


@migration("files, and what those of each account take")
def _files(db: sqlite3.Connection) -> None:
    # Triggers keep the sums: whatever touches a row, they are right in the same transaction.
    _each(
        db,
        """
        CREATE TABLE files (
            path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL,
            digest BLOB, account TEXT NOT NULL, at INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE file_sums (
            account TEXT PRIMARY KEY, bytes INTEGER NOT NULL, files INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    )
    plus = """INSERT INTO file_sums VALUES (new.account, new.size, 1) ON CONFLICT (account)
        DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1;"""
    minus = "UPDATE file_sums SET bytes = bytes - old.size, files = files - 1 WHERE account = old.account;"
    for event, body in (("INSERT", plus), ("DELETE", minus), ("UPDATE", minus + plus)):
        db.execute(f"CREATE TRIGGER files_{event.lower()} AFTER {event} ON files BEGIN {body} END")


@migration("access tokens")
def _tokens(db: sqlite3.Connection) -> None:
    _each(
        db,
        """
        CREATE TABLE tokens (
            id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, device TEXT NOT NULL, scopes TEXT NOT NULL,
            hash BLOB NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, UNIQUE (account, name)
        ) WITHOUT ROWID
        """,
    )


@migration("what was taken away from whom, for machines that were not here then")
def _changes(db: sqlite3.Connection) -> None:
    db.execute(
        """
        CREATE TABLE changes (
            account TEXT NOT NULL, device TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (account, device)
        ) WITHOUT ROWID
        """
    )

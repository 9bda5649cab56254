"""Commands that ran and who may run what, in SQLite: the ShellStore part of SqliteStore."""

import asyncio
import sqlite3
from typing import Any

import msgspec

from tieline.store.database import Database
from tieline.store.log import MessageLog
from tieline.store.shell import Begun, CommandEntry, Rule

_FIELDS = "number, id, account, device, address, target, kind, argv, folder, at, ended, outcome, out"
_PRUNE = """
    DELETE FROM commands WHERE target = ? AND number <= (
        SELECT number FROM commands WHERE target = ? ORDER BY number DESC LIMIT 1 OFFSET ?)
"""
_words = msgspec.json.Decoder(list[str]).decode


class SqliteShell(Database):
    """See `store.shell.ShellStore` for what each method promises."""

    def command_begun(self, begun: Begun, keep: int) -> asyncio.Future[None]:
        row = (*msgspec.structs.astuple(begun),)
        values = [msgspec.json.encode(value).decode() if isinstance(value, list) else value for value in row]

        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            marks = ", ".join("?" * len(values))
            added = db.execute(
                f"INSERT INTO commands ({_FIELDS.removeprefix('number, ').removesuffix(', ended, outcome, out')}) "
                f"VALUES ({marks}) ON CONFLICT DO NOTHING",
                values,
            )
            if added.rowcount and (added.lastrowid or 0) % max(1, min(keep // 10, 1000)) == 0:
                db.execute(_PRUNE, (begun.target, begun.target, keep))

        return self._write(work)

    def command_ended(self, id: str, target: str, at: int, outcome: str, out: int) -> asyncio.Future[None]:
        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            db.execute(
                "UPDATE commands SET ended = ?, outcome = ?, out = ? WHERE id = ? AND target = ? AND ended IS NULL",
                (at, outcome, out, id, target),
            )

        return self._write(work)

    def commands_lost(self, at: int, target: str = "") -> asyncio.Future[None]:
        outcome = f"the {'agent' if target else 'server'} was killed"

        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            db.execute(
                "UPDATE commands SET ended = ?, outcome = ? WHERE ended IS NULL AND target = ?", (at, outcome, target)
            )

        return self._write(work)

    async def commands(self, *, account: str | None, before: int | None, limit: int) -> list[CommandEntry]:
        sql = f"SELECT {_FIELDS} FROM commands WHERE number < ?"
        values: list[Any] = [(1 << 62) if before is None else before]
        if account is not None:
            sql += " AND account = ?"
            values.append(account)
        sql += " ORDER BY number DESC LIMIT ?"
        return await self._read(lambda db: [_entry(row) for row in db.execute(sql, (*values, limit))])

    async def rules(self) -> dict[str, Rule]:
        sql = "SELECT account, targets, commands FROM shell_rules"
        return await self._read(
            lambda db: {account: Rule(_names(first), _names(second)) for account, first, second in db.execute(sql)}
        )

    async def set_rule(self, account: str, rule: Rule) -> None:
        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            db.execute("DELETE FROM shell_rules WHERE account = ?", (account,))
            if rule != Rule():
                row = (account, _stored(rule.targets), _stored(rule.commands))
                db.execute("INSERT INTO shell_rules VALUES (?, ?, ?)", row)

        await self._write(work)


def _entry(row: Any) -> CommandEntry:
    number, id, account, device, address, target, kind, argv, folder, at, ended, outcome, out = row
    begun = Begun(id, account, device, address, target, kind, _words(argv), folder, at)
    return CommandEntry(number, begun, ended, outcome, out)


def _names(stored: str | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(_words(stored))


def _stored(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else msgspec.json.encode(names).decode()

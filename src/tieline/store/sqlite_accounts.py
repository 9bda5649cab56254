"""Accounts, devices and tickets in SQLite: the AccountStore half of SqliteStore."""

import sqlite3
from collections import defaultdict
from typing import Any

import msgspec

from tieline.login.records import Account, Device, Enrolment, Ticket, Verifier
from tieline.store.database import Database
from tieline.store.log import MessageLog

_encode = msgspec.msgpack.encode
_verifier = msgspec.msgpack.Decoder(Verifier).decode


class SqliteAccounts(Database):
    """See `login.records.AccountStore` for what each method promises."""

    async def account(self, name: str) -> Account | None:
        return await self._read(lambda db: _account(db, name))

    async def accounts(self) -> list[Account]:
        return await self._read(_accounts)

    async def listing(self) -> list[tuple[Account, list[Device], list[Ticket]]]:
        return await self._read(_listing)

    async def put_account(self, account: Account) -> None:
        row = (account.name, _words(account.scopes), account.created, account.revoked)
        await self._change("REPLACE INTO accounts VALUES (?, ?, ?, ?)", *row)

    async def revoke_account(self, name: str, at: int) -> bool:
        def work(db: sqlite3.Connection, log: MessageLog) -> bool:
            done = db.execute("UPDATE accounts SET revoked = ? WHERE name = ? AND revoked IS NULL", (at, name))
            if not done.rowcount:
                return False
            for table in ("devices", "tickets", "tokens"):
                db.execute(f"DELETE FROM {table} WHERE account = ?", (name,))
            return True

        return await self._write(work)

    async def device(self, account: str, name: str) -> Device | None:
        def work(db: sqlite3.Connection) -> Device | None:
            row = db.execute("SELECT * FROM devices WHERE account = ? AND name = ?", (account, name)).fetchone()
            return _to_device(row) if row else None

        return await self._read(work)

    async def devices(self, account: str) -> list[Device]:
        sql = "SELECT * FROM devices WHERE account = ? ORDER BY name"
        return await self._read(lambda db: [_to_device(row) for row in db.execute(sql, (account,))])

    async def put_device(self, device: Device) -> bool:
        def work(db: sqlite3.Connection, log: MessageLog) -> bool:
            if not _is_active(db, device.account):
                return False
            _end_tokens(db, device.account, device.name)  # whoever had the old secret made those
            return _put_device(db, device)

        return await self._write(work)

    async def revoke_device(self, account: str, name: str) -> bool:
        def work(db: sqlite3.Connection, log: MessageLog) -> bool:
            _end_tokens(db, account, name)
            return db.execute("DELETE FROM devices WHERE account = ? AND name = ?", (account, name)).rowcount > 0

        return await self._write(work)

    async def add_ticket(self, ticket: Ticket) -> bool:
        def work(db: sqlite3.Connection, log: MessageLog) -> bool:
            if not _is_active(db, ticket.account):
                return False
            row = (ticket.id, ticket.account, _words(ticket.scopes), _encode(ticket.verifier))
            db.execute("DELETE FROM tickets WHERE expires < ?", (ticket.created,))
            db.execute("REPLACE INTO tickets VALUES (?, ?, ?, ?, ?, ?)", (*row, ticket.created, ticket.expires))
            return True

        return await self._write(work)

    async def ticket(self, id: str) -> Ticket | None:
        return await self._read(lambda db: _ticket(db, id))

    async def tickets(self, account: str) -> list[Ticket]:
        sql = "SELECT * FROM tickets WHERE account = ? ORDER BY created, id"
        return await self._read(lambda db: [_to_ticket(row) for row in db.execute(sql, (account,))])

    async def revoke_ticket(self, id: str) -> bool:
        return await self._change("DELETE FROM tickets WHERE id = ?", id)

    async def enrol(self, ticket: str, device: Device, now: int) -> Enrolment:
        def work(db: sqlite3.Connection, log: MessageLog) -> Enrolment:
            found = _ticket(db, ticket)
            if found is None or found.expires <= now or found.account != device.account:
                return Enrolment.TICKET_GONE
            if not _is_active(db, device.account):
                return Enrolment.TICKET_GONE
            if db.execute(
                "SELECT 1 FROM devices WHERE account = ? AND name = ?", (device.account, device.name)
            ).fetchone():
                return Enrolment.NAME_TAKEN
            db.execute("DELETE FROM tickets WHERE id = ?", (ticket,))
            _put_device(db, device)
            return Enrolment.DONE

        return await self._write(work)

    async def keep(self, name: str, value: bytes) -> bytes:
        def work(db: sqlite3.Connection, log: MessageLog) -> bytes:
            db.execute("INSERT INTO secrets VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
            return bytes(db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0])

        return await self._write(work)

    async def _change(self, sql: str, *values: Any) -> bool:
        """One statement; whether it changed anything."""
        return await self._write(lambda db, log: db.execute(sql, values).rowcount > 0)


def _accounts(db: sqlite3.Connection) -> list[Account]:
    return [_to_account(row) for row in db.execute("SELECT * FROM accounts ORDER BY created, name")]


def _listing(db: sqlite3.Connection) -> list[tuple[Account, list[Device], list[Ticket]]]:
    devices: defaultdict[str, list[Device]] = defaultdict(list)
    for row in db.execute("SELECT * FROM devices ORDER BY account, name"):
        devices[row[0]].append(_to_device(row))
    tickets: defaultdict[str, list[Ticket]] = defaultdict(list)
    for row in db.execute("SELECT * FROM tickets ORDER BY created, id"):
        tickets[row[1]].append(_to_ticket(row))
    return [(account, devices[account.name], tickets[account.name]) for account in _accounts(db)]


def _account(db: sqlite3.Connection, name: str) -> Account | None:
    row = db.execute("SELECT * FROM accounts WHERE name = ?", (name,)).fetchone()
    return _to_account(row) if row else None


def _ticket(db: sqlite3.Connection, id: str) -> Ticket | None:
    row = db.execute("SELECT * FROM tickets WHERE id = ?", (id,)).fetchone()
    return _to_ticket(row) if row else None


def _is_active(db: sqlite3.Connection, name: str) -> bool:
    account = _account(db, name)
    return account is not None and account.revoked is None


def _put_device(db: sqlite3.Connection, device: Device) -> bool:
    row = (device.account, device.name, _words(device.scopes), _encode(device.verifier), device.created)
    db.execute("REPLACE INTO devices VALUES (?, ?, ?, ?, ?)", row)
    return True


def _end_tokens(db: sqlite3.Connection, account: str, device: str) -> None:
    """Tokens do not outlive the device that made them."""
    db.execute("DELETE FROM tokens WHERE account = ? AND device = ?", (account, device))


def _words(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes))


def _to_account(row: Any) -> Account:
    name, scopes, created, revoked = row
    return Account(name, frozenset(scopes.split()), created, revoked)


def _to_device(row: Any) -> Device:
    account, name, scopes, verifier, created = row
    return Device(account, name, frozenset(scopes.split()), _verifier(verifier), created)


def _to_ticket(row: Any) -> Ticket:
    id, account, scopes, verifier, created, expires = row
    return Ticket(id, account, frozenset(scopes.split()), _verifier(verifier), created, expires)

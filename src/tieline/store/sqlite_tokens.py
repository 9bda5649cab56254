"""Access tokens in SQLite: what `login.tokens.TokenStore` asks for."""

import sqlite3
from typing import Any

from tieline.errors import Conflict
from tieline.login.tokens import Token
from tieline.store.database import Database
from tieline.store.log import MessageLog


class SqliteTokens(Database):
    """See `login.tokens.TokenStore` for what each method promises. `account` comes from SqliteAccounts."""

    async def add_token(self, token: Token) -> bool:
        def work(db: sqlite3.Connection, log: MessageLog) -> bool:
            alive = "SELECT 1 FROM accounts WHERE name = ? AND revoked IS NULL"
            if not db.execute(alive, (token.account,)).fetchone():
                return False
            db.execute("DELETE FROM tokens WHERE account = ? AND expires < ?", (token.account, token.created))
            taken = "SELECT 1 FROM tokens WHERE account = ? AND name = ?"
            if db.execute(taken, (token.account, token.name)).fetchone():
                raise Conflict(f"{token.account} has a token {token.name!r} already; revoke it, or choose another name")
            row = (token.id, token.account, token.name, token.device, " ".join(sorted(token.scopes)))
            values = (*row, token.hash, token.created, token.expires)
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return True

        return await self._write(work)

    async def token(self, id: str) -> Token | None:
        def work(db: sqlite3.Connection) -> Token | None:
            row = db.execute("SELECT * FROM tokens WHERE id = ?", (id,)).fetchone()
            return _to_token(row) if row else None

        return await self._read(work)

    async def tokens(self, account: str) -> list[Token]:
        sql = "SELECT * FROM tokens WHERE account = ? ORDER BY name"
        return await self._read(lambda db: [_to_token(row) for row in db.execute(sql, (account,))])

    async def revoke_token(self, account: str, name: str) -> bool:
        sql = "DELETE FROM tokens WHERE account = ? AND name = ?"
        return await self._write(lambda db, log: db.execute(sql, (account, name)).rowcount > 0)


def _to_token(row: Any) -> Token:
    id, account, name, device, scopes, hash, created, expires = row
    return Token(id, account, name, device, frozenset(scopes.split()), hash, created, expires)

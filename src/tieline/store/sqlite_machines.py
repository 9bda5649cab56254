"""When each machine was last here, in SQLite: the MachineStore part of SqliteStore."""

import asyncio
import sqlite3

from tieline.login.scopes import within
from tieline.store.database import Database
from tieline.store.log import MessageLog
from tieline.store.machines import Change, Seen

LOCAL = "local"
"The device of whoever comes by the server's own Unix socket, which is stored nowhere."
_THERE = """
    EXISTS (SELECT 1 FROM accounts a WHERE a.name = machines.account AND a.revoked IS NULL)
    AND (machines.device = ? OR EXISTS (
        SELECT 1 FROM devices d WHERE d.account = machines.account AND d.name = machines.device))
"""


class SqliteMachines(Database):
    """See `store.machines.MachineStore` for what each method promises."""

    def machine_seen(self, account: str, device: str, at: int) -> asyncio.Future[None]:
        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            db.execute("REPLACE INTO machines VALUES (?, ?, ?)", (account, device, at))
            db.execute(f"DELETE FROM machines WHERE NOT ({_THERE})", (LOCAL,))

        return self._write(work)

    async def machines_seen(self) -> list[Seen]:
        sql = f"""
            SELECT account, device, seen,
                (SELECT scopes FROM accounts a WHERE a.name = machines.account),
                (SELECT scopes FROM devices d WHERE d.account = machines.account AND d.name = machines.device)
            FROM machines WHERE {_THERE} ORDER BY account, device
        """
        return await self._read(lambda db: [_to_seen(*row) for row in db.execute(sql, (LOCAL,))])

    def change(self, change: Change) -> asyncio.Future[None]:
        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            db.execute("REPLACE INTO changes VALUES (?, ?, ?)", (change.account, change.device or "", change.number))

        return self._write(work)

    async def changes(self) -> list[Change]:
        sql = "SELECT number, account, device FROM changes ORDER BY number"
        return await self._read(
            lambda db: [Change(number, account, device or None) for number, account, device in db.execute(sql)]
        )


def _to_seen(account: str, device: str, at: int, may: str, granted: str | None) -> Seen:
    scopes = frozenset(may.split())
    return Seen(account, device, at, scopes if granted is None else within(frozenset(granted.split()), scopes))

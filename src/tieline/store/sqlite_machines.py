"""When each machine was last here, in SQLite: the MachineStore part of SqliteStore."""

import asyncio
import sqlite3

from tieline.store.database import Database
from tieline.store.log import MessageLog
from tieline.store.machines import Seen

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
        sql = f"SELECT account, device, seen FROM machines WHERE {_THERE} ORDER BY account, device"
        return await self._read(lambda db: [Seen(*row) for row in db.execute(sql, (LOCAL,))])

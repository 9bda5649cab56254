"""Everything the server is told, in one SQLite file: `async with SqliteStore("data") as store`."""

from tieline.store.sqlite_accounts import SqliteAccounts
from tieline.store.sqlite_chat import SqliteChat
from tieline.store.sqlite_machines import SqliteMachines


class SqliteStore(SqliteAccounts, SqliteChat, SqliteMachines):
    """An AccountStore, a ChatStore and a MachineStore over one database (see database.py for its threads)."""

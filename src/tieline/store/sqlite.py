"""Everything the server is told, in one SQLite file: `async with SqliteStore("data") as store`."""

from tieline.store.sqlite_accounts import SqliteAccounts
from tieline.store.sqlite_chat import SqliteChat
from tieline.store.sqlite_machines import SqliteMachines
from tieline.store.sqlite_shell import SqliteShell


class SqliteStore(SqliteAccounts, SqliteChat, SqliteMachines, SqliteShell):
    """An AccountStore, ChatStore, MachineStore and ShellStore over one database (see database.py for its threads)."""

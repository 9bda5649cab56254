"""Everything the server is told, in one SQLite file: `async with SqliteStore("data") as store`."""

from tieline.store.files.catalogue import SqliteCatalogue
from tieline.store.sqlite_accounts import SqliteAccounts
from tieline.store.sqlite_chat import SqliteChat
from tieline.store.sqlite_machines import SqliteMachines
from tieline.store.sqlite_shell import SqliteShell
from tieline.store.sqlite_tokens import SqliteTokens


class SqliteStore(SqliteAccounts, SqliteTokens, SqliteChat, SqliteMachines, SqliteShell, SqliteCatalogue):
    """The stores of all services over one database (see database.py for its threads)."""

"""Everything the server is told, in one SQLite file: `async with SqliteStore("data") as store`."""

from tieline.store.sqlite_accounts import SqliteAccounts
from tieline.store.sqlite_chat import SqliteChat


class SqliteStore(SqliteAccounts, SqliteChat):
    """An AccountStore and a ChatStore over one database (see database.py for its threads)."""

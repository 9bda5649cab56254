"""Everything the server is told, in one SQLite file: `async with SqliteStore("data") as store`."""

from tieline.store.files.catalogue import SqliteCatalogue
from tieline.store.sqlite_accounts import SqliteAccounts
from tieline.store.sqlite_chat import SqliteChat
from tieline.store.sqlite_tokens import SqliteTokens


class SqliteStore(SqliteAccounts, SqliteTokens, SqliteChat, SqliteCatalogue):
    """An AccountStore, a ChatStore and a catalogue of files over one database (see database.py for its threads)."""

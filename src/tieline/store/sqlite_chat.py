"""Rooms and messages in SQLite: the ChatStore half of SqliteStore."""

import sqlite3

from tieline.errors import InvalidArgument, Overloaded
from tieline.promise import Promise
from tieline.store import history as read
from tieline.store.chat import Page, Post, Posted, RoomState
from tieline.store.database import Database
from tieline.store.log import MessageLog, find_room, make_room
from tieline.store.writer import WEIGHT


class SqliteChat(Database):
    """See `store.chat.ChatStore` for what each method promises."""

    def post(self, room: str, by: str, text: str, id: str, at: int) -> Promise[Posted]:
        size = len(text) + WEIGHT
        if self._waiting + size > self._limits.commit_queue:
            raise Overloaded("too many messages wait for the server's disk; try again in a moment")
        if not (text.isascii() and id.isascii() and room.isascii() and by.isascii()):
            _check_storable(room, by, text, id)
        post = Post(room, by, text, id, at)
        (self._writer or self._writer_or_refuse()).put(post)
        self._waiting += size
        return post

    async def head(self, room: str) -> int:
        return await self._write(lambda db, log: log.head(room))

    async def history(
        self, room: str, *, after: int | None = None, before: int | None = None, since: int | None = None, limit: int
    ) -> Page:
        limit, size = max(1, min(limit, self._limits.page)), self._limits.page_bytes
        return await self._read(
            lambda db: read.history(db, room, after=after, before=before, since=since, limit=limit, size=size)
        )

    async def rooms(self, account: str, *, after: str = "", limit: int, cap: int) -> tuple[list[RoomState], bool]:
        limit = max(1, min(limit, self._limits.page))
        return await self._read(lambda db: read.rooms(db, account, after, limit, cap))

    async def topic_line(self, room: str) -> str:
        return await self._read(lambda db: read.topic_line(db, room))

    async def set_topic_line(self, room: str, text: str) -> None:
        def work(db: sqlite3.Connection, log: MessageLog) -> None:
            db.execute("UPDATE rooms SET topic_line = ? WHERE number = ?", (text, make_room(db, room)))

        _check_storable(room, text)
        await self._write(work)

    async def mark_read(self, room: str, account: str, position: int, *, alone: bool = False) -> int:
        def work(db: sqlite3.Connection, log: MessageLog) -> int:
            number = find_room(db, room)
            if number is None:
                return 0
            if alone and (marker := read.marker_before_unread(db, number, account, position)) is not None:
                return marker
            row = db.execute(
                "INSERT INTO markers VALUES (?, ?, ?) ON CONFLICT (account, room) "
                "DO UPDATE SET position = max(position, excluded.position) RETURNING position",
                (account, number, max(0, min(position, log.head(room)))),
            ).fetchone()
            return int(row[0])

        return await self._write(work)


def _check_storable(*texts: str) -> None:
    """Half a surrogate pair is no character; it must not reach a batch, where it would fail its neighbours."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("text must be Unicode without lone surrogates") from None

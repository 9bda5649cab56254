"""Messages go in: positions are given out here, from heads held in memory, and a batch is one SQL step.

One step matters: `sqlite3` gives up the interpreter for every step and then queues for it behind a busy event loop, up
to 5 ms each time. A row per step would cost seconds where a batch per step costs one such wait.
"""

import sqlite3
from functools import cache
from typing import Any

import msgspec

from tieline.errors import CallError, Conflict
from tieline.store.chat import Committed, Post, Posted, pair_of
from tieline.store.schema import POSITION_BITS

POSITION_MASK = (1 << POSITION_BITS) - 1
_ROOMS_HELD = 65_536
"Heads kept in memory at most; they are read again when asked for."
_decode = msgspec.json.Decoder(list[tuple[int, int, int, str]]).decode


class _Head:
    """Where a room's log ends."""

    __slots__ = ("at", "base", "position")

    def __init__(self, base: int, position: int, at: int) -> None:
        self.base = base
        self.position = position
        self.at = at


class MessageLog:
    """Used by the writer's thread only, inside its transactions. After a rollback, `forget()`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._heads: dict[str, _Head] = {}

    def forget(self) -> None:
        """What is in memory may not be what is on disk: read it again."""
        self._heads.clear()

    def knows(self, batch: list[Any]) -> bool:
        """True for nothing but posts whose `append` will be a single step, which needs no transaction around it."""
        heads = self._heads
        if len(heads) > _ROOMS_HELD:
            heads.clear()
        room = None
        for item in batch:
            if type(item) is not Post:
                return False
            if item.room is not room:
                room = item.room
                if room not in heads:
                    return False
        return True

    def head(self, room: str) -> int:
        """The position of the room's last message; 0 for a room that is not there."""
        held = self._heads.get(room)
        if held is not None:
            return held.position
        number = find_room(self._db, room)
        return 0 if number is None else self._load(number).position

    def append(self, posts: list[Post], added: Committed) -> None:
        """Add all of them. Raises sqlite3.IntegrityError when one was there before: then `append_new`."""
        values: list[object] = []
        room = None
        for post in posts:
            if post.room is not room:  # of one room the name is mostly the same string
                room = post.room
                head = self._heads.get(room) or self._open(room)
                group = added.setdefault(room, [])
            position = head.position = head.position + 1
            at = post.at
            if at < head.at:
                at = head.at
            else:
                head.at = at
            values += (head.base + position, at, post.by, post.id, post.text)
            post.outcome = Posted(position, at)
            group.append(post)
        # Not `execute`: that asks for the last row's number afterwards, and queues for the interpreter once more.
        self._db.executemany(_insert_sql(_padded(len(posts), values, 5)), (values,))

    def append_new(self, posts: list[Post], added: Committed) -> None:
        """The same, when some may be retries: those get the position of the first, in this batch or any before."""
        known = self._known(posts)
        new: dict[tuple[str, str], Post] = {}
        for post in posts:
            name = (post.by, post.id)
            if name not in known:
                new.setdefault(name, post)
        if new:
            self.append(list(new.values()), added)
        for post in posts:
            name = (post.by, post.id)
            if name in known:
                key, at, text = known[name]
                same = text == post.text and self._open(post.room).base == key & ~POSITION_MASK
                post.outcome = _again(key & POSITION_MASK, at, same=same)
            elif (first := new[name]) is not post:
                same = first.text == post.text and first.room == post.room
                post.outcome = _again(first.outcome.position, first.outcome.at, same=same)

    def _known(self, posts: list[Post]) -> dict[tuple[str, str], tuple[int, int, str]]:
        values: list[object] = []
        for index, post in enumerate(posts):
            values += (index, post.by, post.id)
        row = self._db.execute(_known_sql(_padded(len(posts), values, 3)), values).fetchone()
        return {(posts[index].by, posts[index].id): (key, at, text) for index, key, at, text in _decode(row[0])}

    def _open(self, room: str) -> _Head:
        head = self._heads.get(room)
        if head is None:
            head = self._heads[room] = self._load(make_room(self._db, room))
        return head

    def _load(self, number: int) -> _Head:
        base = number << POSITION_BITS
        row = self._db.execute(
            "SELECT key, at FROM messages WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1",
            (base, base | POSITION_MASK),
        ).fetchone()
        return _Head(base, row[0] & POSITION_MASK, row[1]) if row else _Head(base, 0, 0)


def find_room(db: sqlite3.Connection, room: str) -> int | None:
    """The room's number."""
    row = db.execute("SELECT number FROM rooms WHERE name = ?", (room,)).fetchone()
    return row[0] if row else None


def make_room(db: sqlite3.Connection, room: str) -> int:
    """The room's number; the room is there afterwards."""
    number = find_room(db, room)
    if number is None:
        one, other = pair_of(room) or (None, None)
        cursor = db.execute("INSERT INTO rooms (name, one, other) VALUES (?, ?, ?)", (room, one, other))
        number = cursor.lastrowid
        assert number is not None
    return number


def _again(position: int, at: int, *, same: bool) -> Posted | CallError:
    if same:
        return Posted(position, at, duplicate=True)
    return Conflict("this message id was used for another message; a new message needs a new id")


def _padded(rows: int, values: list[object], width: int) -> int:
    """Fill up with rows of NULL, by an eighth at most, so that some fifty prepared statements serve every size."""
    step = max(1, 1 << (rows - 1).bit_length() >> 4)
    size = -(-rows // step) * step
    values.extend((None,) * (width * (size - rows)))
    return size


@cache
def _insert_sql(rows: int) -> str:
    marks = ",".join(["(?,?,?,?,?)"] * rows)
    return f"INSERT INTO messages SELECT * FROM (VALUES {marks}) WHERE column1 IS NOT NULL"


@cache
def _known_sql(rows: int) -> str:
    marks = ",".join(["(?,?,?)"] * rows)
    # CROSS JOIN keeps the order of the tables: look up each of ours in the index, never the other way round.
    return (
        "SELECT json_group_array(json_array(column1, key, at, text)) FROM "
        f"(SELECT * FROM (VALUES {marks}) WHERE column1 IS NOT NULL) "
        "CROSS JOIN messages ON author = column2 AND id = column3"
    )

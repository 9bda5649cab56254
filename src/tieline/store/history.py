"""Messages and rooms come out. Plain functions over a connection; nothing here writes.

Each page is one row of JSON built by SQLite: `sqlite3` queues for the interpreter once for every row it steps over, so
500 rows took 150 ms beside a busy event loop and 10 ms this way (see log.py).
"""

import sqlite3

import msgspec

from tieline.store.chat import Message, Page, RoomState
from tieline.store.log import POSITION_MASK, find_room
from tieline.store.schema import POSITION_BITS

_CHUNK = 128
"Messages read in one step: bounds what a page of the longest messages holds in memory before it is cut."
_messages = msgspec.json.Decoder(list[Message]).decode
_rooms = msgspec.json.Decoder(list[RoomState]).decode

_READ = """
    SELECT json_group_array(json_object('position', key & :mask, 'at', at, 'by', author, 'text', text, 'id', id))
    FROM (SELECT * FROM messages WHERE key BETWEEN :low AND :high ORDER BY key {direction} LIMIT :limit)
"""
_FORWARD, _BACKWARD = _READ.format(direction="ASC"), _READ.format(direction="DESC")

_BEFORE_TIME = """
    WITH RECURSIVE halves(low, high) AS (
        SELECT :base, coalesce((SELECT max(key) FROM messages WHERE key BETWEEN :base AND :base + :mask), :base)
        UNION ALL
        SELECT iif(at < :since, key, low), iif(at < :since, high, key - 1)
        FROM halves CROSS JOIN messages ON key = (low + high + 1) / 2 WHERE low < high
    ) SELECT low FROM halves WHERE low = high
"""

_ROOMS = f"""
    SELECT json_group_array(json_object(
        'name', name, 'position', coalesce(last & :mask, 0), 'topic_line', topic_line,
        'at', (SELECT at FROM messages WHERE key = last),
        'unread', (SELECT count(*) FROM (
            SELECT author FROM messages WHERE key > base + seen AND key <= last ORDER BY key LIMIT :cap
        ) WHERE author <> :account)
    )) FROM (
        SELECT name, topic_line, number << {POSITION_BITS} AS base,
            (SELECT max(key) FROM messages
                WHERE key BETWEEN number << {POSITION_BITS} AND (number << {POSITION_BITS}) + :mask) AS last,
            coalesce((SELECT position FROM markers WHERE account = :account AND room = number), 0) AS seen
        FROM rooms WHERE name > :after AND (one IS NULL OR :account IN (one, other)) ORDER BY name LIMIT :limit
    )
"""


def history(
    db: sqlite3.Connection,
    room: str,
    *,
    after: int | None,
    before: int | None,
    since: int | None,
    limit: int,
    size: int,
) -> Page:
    """At most `limit` messages and about `size` bytes of text, but at least one message if there is one."""
    number = find_room(db, room)
    if number is None:
        return Page([], True)
    base = number << POSITION_BITS
    if since is not None:
        after = _before_time(db, base, since)
    if after is not None:
        return _pages(db, base, after + 1, POSITION_MASK, limit, size, forward=True)
    return _pages(db, base, 1, POSITION_MASK if before is None else before - 1, limit, size, forward=False)


def _pages(db: sqlite3.Connection, base: int, low: int, high: int, limit: int, size: int, *, forward: bool) -> Page:
    found: list[Message] = []
    low, high = max(low, 1), min(high, POSITION_MASK)
    while True:
        # One more than is wanted tells whether there are more.
        wanted = min(_CHUNK, limit + 1 - len(found))
        chunk = _chunk(db, base, low, high, wanted, forward=forward) if low <= high else []
        for message in chunk:
            size -= len(message.text.encode())
            if len(found) == limit or (size < 0 and found):
                return Page(_in_order(found, forward=forward), False)
            found.append(message)
        if len(chunk) < wanted:
            return Page(_in_order(found, forward=forward), True)
        low, high = (chunk[-1].position + 1, high) if forward else (low, chunk[-1].position - 1)


def _in_order(found: list[Message], *, forward: bool) -> list[Message]:
    return found if forward else found[::-1]


def _chunk(db: sqlite3.Connection, base: int, low: int, high: int, limit: int, *, forward: bool) -> list[Message]:
    named = {"low": base + low, "high": base + high, "limit": limit, "mask": POSITION_MASK}
    chunk = _messages(db.execute(_FORWARD if forward else _BACKWARD, named).fetchone()[0])
    # SQLite keeps the order of the inner query, but does not promise to.
    chunk.sort(key=lambda message: message.position, reverse=not forward)
    return chunk


def _before_time(db: sqlite3.Connection, base: int, since: int) -> int:
    """The last position earlier than `since`. Times never go back in a room and positions have no gaps: bisect."""
    row = db.execute(_BEFORE_TIME, {"base": base, "mask": POSITION_MASK, "since": since}).fetchone()
    return int(row[0]) - base


def rooms(db: sqlite3.Connection, account: str, after: str, limit: int, cap: int) -> tuple[list[RoomState], bool]:
    """Rooms open to all and those of this account, by name; and whether that is all of them."""
    named = {"mask": POSITION_MASK, "account": account, "after": after, "limit": limit + 1, "cap": cap}
    found = _rooms(db.execute(_ROOMS, named).fetchone()[0])
    found.sort(key=lambda room: room.name)
    return found[:limit], len(found) <= limit


def marker_before_unread(db: sqlite3.Connection, number: int, account: str, position: int) -> int | None:
    """The read marker, when there is something unread between it and a position."""
    row = db.execute("SELECT position FROM markers WHERE account = ? AND room = ?", (account, number)).fetchone()
    marker = int(row[0]) if row else 0
    base = number << POSITION_BITS
    unread = db.execute(
        "SELECT 1 FROM messages WHERE key > ? AND key < ? AND author <> ? LIMIT 1",
        (base + marker, base + min(position, POSITION_MASK), account),
    ).fetchone()
    return marker if unread else None


def topic_line(db: sqlite3.Connection, room: str) -> str:
    row = db.execute("SELECT topic_line FROM rooms WHERE name = ?", (room,)).fetchone()
    return row[0] if row else ""

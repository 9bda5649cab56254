"""From the name of a room, as a caller says it, to the one name it is kept under; and who may be in it."""

from collections.abc import Awaitable, Callable
from functools import lru_cache

from tieline.errors import Denied
from tieline.login.identity import Identity
from tieline.login.names import NoAccount, account_name, room_name
from tieline.login.records import Account
from tieline.rpc.peer import Peer
from tieline.rpc.topic import Topic
from tieline.rpc.topics import Open
from tieline.store.chat import pair_of, pair_room

# Names are checked letter by letter, and most posts go to few rooms.
_open_room = lru_cache(maxsize=4096)(room_name)


class Names:
    """`account(name)` finds who there is. Accounts are never deleted, so who was found once is remembered."""

    def __init__(self, account: Callable[[str], Awaitable[Account | None]]) -> None:
        self._account = account
        self._found: set[str] = set()

    def at_once(self, room: str, caller: Identity) -> str | None:
        """`full()` when it takes no waiting; None when the other account has to be looked up first.

        Raises InvalidArgument for what is no name, and Denied for what is not this caller's.
        """
        if not room.startswith("@"):
            return _open_room(room)
        if caller.guest:
            raise Denied("guests cannot send or read direct messages; ask for an account")
        full = room if "+" in room else pair_room(caller.account, account_name(room[1:]))
        one, other = pair_of(full) or ("", "")
        if caller.account not in (one, other) or full != pair_room(one, other):
            raise Denied("direct messages are for the two who write them")
        return full if {one, other} <= self._found | {caller.account} else None

    async def full(self, room: str, caller: Identity) -> str:
        """The name a room is kept under. Raises InvalidArgument, Denied, or NoAccount."""
        known = self.at_once(room, caller)
        if known is not None:
            return known
        full = room if "+" in room else pair_room(caller.account, room[1:])
        for name in pair_of(full) or ():
            if name != caller.account and await self._account(name) is None:
                raise NoAccount(name)
            self._found.add(name)
        return full

    def opener(self, prefix: str, topic: Callable[[str], Awaitable[Topic]]) -> Open:
        """What `Topics.add_family` wants, for topics named by a prefix and a room."""

        async def open_topic(name: str, peer: Peer) -> Topic:
            return await topic(await self.full(name.removeprefix(prefix), peer.identity))

        return open_topic

"""Rooms to talk in: messages that are on disk before they are acknowledged, history without gaps, who is here.

A room is named `lobby`, or `@bob` for the direct messages of the caller and bob, which is one room for both of them
(its full name is `@ada+bob`). To follow one is to subscribe to the topic `room/NAME`; `presence/NAME` says who does.
The topic `inbox` has what others write to the caller directly, in whichever room of two.
"""

import time
from collections.abc import Callable
from typing import Protocol

from tieline.limits import DEFAULT, Limits
from tieline.login.records import Account
from tieline.rpc.handlers import Handlers
from tieline.rpc.topics import Topics
from tieline.services.chat.inboxes import Inboxes
from tieline.services.chat.methods import Chat
from tieline.services.chat.names import Names
from tieline.services.chat.presence import Presence
from tieline.services.chat.room_topics import RoomTopics
from tieline.store.chat import ChatStore, Committed

SCOPE = "chat"


class Store(ChatStore, Protocol):
    """What chat needs kept, and who there is to write to."""

    async def account(self, name: str) -> Account | None: ...


def install(
    handlers: Handlers,
    topics: Topics,
    store: Store,
    limits: Limits = DEFAULT,
    clock: Callable[[], float] = time.time,
) -> None:
    """Offer `chat.*` and the topics `room/…`, `presence/…` and `inbox` to callers with the scope `chat`."""
    names = Names(store.account)
    presence = Presence(limits, clock)
    rooms = RoomTopics(store, presence, limits)
    inboxes = Inboxes(limits, clock)

    def committed(added: Committed) -> None:
        rooms.committed(added)
        inboxes.committed(added)

    store.on_committed = committed
    chat = Chat(store, names, rooms, presence, limits, clock)
    for name, method in chat.methods().items():
        handlers.add(method, f"chat.{name}", scope=SCOPE)
    topics.add_family("room/", names.opener("room/", rooms.topic), scope=SCOPE)
    topics.add_family("presence/", names.opener("presence/", presence.topic), scope=SCOPE)
    topics.add_family("inbox", inboxes.open, scope=SCOPE)

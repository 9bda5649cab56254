"""A list of things to do, as a service."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

import tieline


class Item(msgspec.Struct):
    id: int
    text: str
    by: str
    done: bool = False


class Todo:
    """The items, and a topic that says what changed."""

    def __init__(self, server: tieline.Server) -> None:
        self._items: dict[int, Item] = {}
        self._changes = server.topic("todo")
        server.handlers.add(self.add, "todo.add", scope="chat")
        server.handlers.add(self.finish, "todo.finish", scope="chat")
        server.handlers.add(self.list, "todo.list")

    def add(self, text: str, peer: tieline.Peer) -> Item:
        """Note something to be done."""
        item = Item(len(self._items) + 1, text, peer.identity.account)
        self._items[item.id] = item
        self._changes.publish(item)
        return item

    def finish(self, id: int) -> Item:
        """Note that it is done."""
        item = self._items.get(id)
        if item is None:
            raise tieline.NotFound(f"there is nothing numbered {id} to do")
        item.done = True
        self._changes.publish(item)
        return item

    async def list(self, done: bool = False) -> AsyncIterator[Item]:
        """What is to be done; with `done`, what was."""
        for item in self._items.values():
            if item.done == done:
                yield item


async def main() -> None:
    server = tieline.Server(data=":memory:", guests=True)
    Todo(server)
    async with server.serving("tcp://127.0.0.1:7789") as addresses:
        print("serving on", *addresses, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

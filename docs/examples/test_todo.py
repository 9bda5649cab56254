import pytest
from todo import Item, Todo

import tieline
from tieline import testing


async def test_what_is_finished_is_not_listed() -> None:
    async with testing.server() as server:
        Todo(server)
        async with testing.connect(server, account="ada") as ada:
            first = await ada.call("todo.add", text="buy milk", returns=Item)
            await ada.call("todo.add", text="drink it")
            await ada.call("todo.finish", id=first.id)
            left = [item.text async for item in ada.stream("todo.list", returns=Item)]
            assert left == ["drink it"]


async def test_who_may_not_chat_may_only_look() -> None:
    async with testing.server() as server:
        Todo(server)
        async with testing.connect(server, scopes=()) as guest:
            assert [item async for item in guest.stream("todo.list")] == []
            with pytest.raises(tieline.Denied):
                await guest.call("todo.add", text="buy milk")

"""Nothing is lost: the connection is cut at every byte of a post's exchange, and each post is there once."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

import tieline

from .conftest import Machines
from .machines import DEADLINE, LONG, Machine, ServerProcess, login
from .proxy import DOWN, UP, Cut, Proxy


class Talk:
    """Ada posts through a network that breaks and follows the room through it; a witness follows it directly."""

    def __init__(self, ada: tieline.Client, witness: tieline.Client, proxy: Proxy) -> None:
        self.ada = ada
        self.proxy = proxy
        self.posted: list[str] = []
        self._followed = {
            "ada": ada.subscribe("room/lobby", after=0),
            "witness": witness.subscribe("room/lobby", after=0),
        }
        self.seen: dict[str, list[str]] = {name: [] for name in self._followed}

    async def open(self) -> None:
        for subscription in self._followed.values():
            await subscription.open()

    async def post(self) -> dict[str, Any]:
        """One post that must be answered, and seen by both as the next one."""
        id = f"message-{len(self.posted):04}"
        self.posted.append(id)
        answer: dict[str, Any] = await self.ada.call(
            "chat.post", room="lobby", text=id, id=id, timeout=DEADLINE, retry=True
        )
        assert answer["position"] == len(self.posted)
        for name, subscription in self._followed.items():
            async with asyncio.timeout(DEADLINE):
                event = await anext(subscription)
            assert event.position == len(self.posted), name
            self.seen[name].append(event.value["id"])
        return answer

    async def measure(self) -> dict[str, int]:
        """How many bytes an undisturbed post takes each way, its event included."""
        before = dict(self.proxy.passed)
        await self.post()
        return {direction: self.proxy.passed[direction] - before[direction] for direction in (UP, DOWN)}

    async def check(self) -> None:
        """What is kept is what was posted, once and in order."""
        kept = await self.ada.call("chat.history", room="lobby", after=0, limit=1000)
        assert [message["id"] for message in kept["messages"]] == self.posted[: len(kept["messages"])]
        head = await self.ada.call("chat.history", room="lobby", limit=1)
        assert head["messages"][0]["position"] == len(self.posted)
        assert self.seen == {"ada": self.posted, "witness": self.posted}


async def talk(stack: AsyncExitStack, server: ServerProcess, owner: Machine, machines: Machines, scheme: str) -> Talk:
    ada = machines("ada")
    await ada.out("join", (await owner.out("invite", "ada")).strip())
    who = login(ada.profile())
    if scheme == "tcp":
        del who["pin"]
    proxy = await stack.enter_async_context(Proxy(server.port).running())
    who["address"] = f"{scheme}://127.0.0.1:{proxy.port}"
    witness = await stack.enter_async_context(tieline.connect(server.unix))
    made = Talk(await stack.enter_async_context(tieline.connect(**who)), witness, proxy)
    await made.open()
    return made


@pytest.fixture
async def stack() -> Any:
    async with AsyncExitStack() as made:
        yield made


@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_a_post_survives_a_cut_at_every_byte_of_its_exchange(
    scheme: str, stack: AsyncExitStack, server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    story = await talk(stack, server, owner, machines, scheme)
    size = await story.measure()
    assert min(size.values()) > 40
    for direction in (UP, DOWN):
        # Over TLS the same frames travel in other bytes, so fewer offsets tell as much.
        for after in range(0, size[direction], 1 if scheme == "tcp" or LONG else 5):
            cut = Cut(direction, after, reset=after % 2 == 1)
            story.proxy.arm(cut)
            await story.post()
            assert cut.done
    await story.check()


@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.usefixtures("hurried")
async def test_a_post_survives_a_second_cut_at_every_byte_of_the_way_back(
    stack: AsyncExitStack, server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    """Dialling again, logging in, subscribing from the position, posting again: each may be cut as well."""
    story = await talk(stack, server, owner, machines, "tcp")
    size = await story.measure()
    before = dict(story.proxy.passed)
    story.proxy.arm(Cut(DOWN, 1))  # the call arrives, of its answer only a byte
    await story.post()
    back = {direction: story.proxy.passed[direction] - before[direction] for direction in (UP, DOWN)}
    for direction in (UP, DOWN):
        # All but the last frames: what follows the answer may come after the post is done.
        for after in range(0, back[direction] - size[direction], 1 if LONG else 5):
            second = Cut(direction, after, reset=after % 2 == 1)
            story.proxy.arm(Cut(DOWN, 1), second)
            await story.post()
            assert second.done
    story.proxy.arm()
    await story.check()

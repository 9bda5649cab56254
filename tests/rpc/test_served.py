"""What a handler on a machine sees of who calls it through the server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.rpc.board import Board
from tests.rpc.conftest import hang_up, nothing_left, settle, until

from tieline.errors import CallError, ConfigError, Unavailable
from tieline.limits import KiB, Limits
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer


class Desk(Handlers):
    """Handlers that keep what they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[Peer] = []
        self.ended: list[str] = []

        @self.method("greet")
        def greet(peer: Peer) -> str:
            self.peers.append(peer)
            return f"hello {peer.identity}"

        @self.method("visit")
        def visit(peer: Peer) -> int:
            if peer.data is None:
                peer.data = {"visits": 0}
                peer.on_end(lambda gone: self.ended.append(str(gone.identity)))
            peer.data["visits"] += 1
            return peer.data["visits"]

        @self.method("back")
        async def back(way: str, peer: Peer) -> None:
            match way:
                case "call":
                    await peer.call("anything")
                case "stream":
                    await peer.stream("anything").__anext__()
                case "subscribe":
                    await peer.subscribe("room/lobby").open()
                case "tell":
                    peer.tell("anything")
                case "close":
                    await peer.close()
                case "serve":
                    await peer.serve(Handlers())

        @self.method("ways")
        async def ways(peer: Peer) -> AsyncIterator[str]:
            yield peer.identity.account


async def test_the_handler_sees_the_caller_as_the_server_verified_it(board):
    desk = Desk()
    await board.machine(desk)
    bob = await board.join("laptop", account="bob", scopes=("chat", "shell"))
    eve = await board.join("guest", account="guest-eve", scopes=("chat",), guest=True)
    assert await bob.call("lab-1/greet") == "hello bob/laptop"
    assert await eve.call("lab-1/greet") == "hello guest-eve/guest"
    first, second = (peer.identity for peer in desk.peers)
    assert (first.scopes, first.guest, first.via) == ({"chat", "shell"}, False, "native")
    assert (second.scopes, second.guest) == ({"chat"}, True)
    assert [account async for account in bob.stream("lab-1/ways")] == ["bob"]
    assert "open bob/laptop" in repr(desk.peers[0])


async def test_a_callers_link_keeps_its_data_until_it_is_gone(board):
    desk = Desk()
    await board.machine(desk)
    bob, again = await board.join("laptop", account="bob"), await board.join("laptop", account="bob")
    assert [await bob.call("lab-1/visit") for _ in range(3)] == [1, 2, 3]
    assert await again.call("lab-1/visit") == 1
    await bob.call("lab-1/greet")
    assert desk.peers[0].is_open
    await hang_up(bob)
    await until(lambda: desk.ended == ["bob/laptop"])
    assert not desk.peers[0].is_open
    assert await again.call("lab-1/visit") == 2
    late = []
    desk.peers[0].on_end(late.append)
    assert late == [desk.peers[0]]


async def test_who_calls_is_gone_for_a_machine_that_lost_the_server(board):
    desk = Desk()
    machine = await board.machine(desk)
    bob = await board.join("laptop", account="bob")
    await bob.call("lab-1/visit")
    await hang_up(machine)
    assert desk.ended == ["bob/laptop"]
    assert not machine._served._callers


async def test_nothing_is_kept_of_callers_who_left(board):
    desk = Desk()
    machine = await board.machine(desk)
    for number in range(20):
        caller = await board.join(f"desk-{number}")
        await caller.call("lab-1/visit")
        await hang_up(caller)
    await until(lambda: len(desk.ended) == 20)
    assert not machine._served._callers
    assert len(board.switchboard._callers) == 0
    assert not machine._calls.replies


@pytest.mark.parametrize("way", ["call", "stream", "subscribe", "tell", "close", "serve"])
async def test_calling_back_says_that_it_cannot_be(board, way):
    await board.machine(Desk())
    bob = await board.join("laptop", account="bob")
    with pytest.raises(Unavailable, match="bob/laptop calls through the server and cannot be called back"):
        await bob.call("lab-1/back", way=way)


async def test_names_that_cannot_be_offered_are_refused_here(board):
    peer = await board.join("lab-1")
    slashed, doubled = Handlers(), Handlers()
    slashed.add(lambda: 1, "a/b")
    doubled.add(lambda: 1, "greet")
    with pytest.raises(ConfigError, match="has no / in its name"):
        await peer.serve(slashed)
    await peer.serve(Desk())
    with pytest.raises(ConfigError, match="offered already"):
        await peer.serve(doubled)


async def test_a_machine_whose_answers_nobody_takes_answers_no_more():
    async with nothing_left():
        board = Board()
        handlers = Handlers()
        handlers.add(lambda size: bytes(size), "give")
        machine = await board.machine(handlers, limits=Limits(relay_backlog=256 * KiB))
        caller = await board.join("desk")
        board.seat(machine).link.stream.pause_reading()
        for _ in range(100):
            call = asyncio.create_task(caller.call("lab-1/give", size=50_000))
            await settle(10)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        assert machine.link.stream.buffered() < 400 * KiB
        board.seat(machine).link.stream.resume_reading()
        await settle(50)
        assert len(await caller.call("lab-1/give", size=5)) == 5
        await board.close()


async def test_every_machine_is_told_who_may_do_less_than_before(board):
    told = []
    first = await board.join("lab-1")
    await first.serve(Desk(), revoked=lambda account, device: told.append(("lab-1", account, device)))
    second = await board.join("lab-2", account="bob")
    await second.serve(Desk(), revoked=lambda account, device: told.append(("lab-2", account, device)))
    board.switchboard.revoked("eve", "desk")
    board.switchboard.revoked("eve", None)
    await until(lambda: len(told) == 4)
    assert sorted(told, key=str) == [(lab, "eve", device) for lab in ("lab-1", "lab-2") for device in ("desk", None)]


async def test_only_the_server_gives_notices(board):
    told = []
    machine = await board.join("lab-1")
    await machine.serve(Desk(), revoked=lambda *who: told.append(who))
    eve = await board.join("desk", account="eve")
    for method in ("lab-1/revoked", "lab-1//revoked", "/revoked", "lab-1/gone", "lab-1//gone"):
        with pytest.raises(CallError):
            await eve.call(method, account="ada", device=None)
    assert told == []

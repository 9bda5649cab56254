"""Calls passed on: credit, the limits of either side, and frames of the hostile."""

import asyncio
import random

import pytest
from tests.rpc.board import RAW, Board
from tests.rpc.conftest import nothing_left, settle, until
from tests.rpc.lab import Lab, source

from tieline.errors import (
    Overloaded,
    TooLarge,
    Unavailable,
)
from tieline.limits import KiB, Limits, MiB
from tieline.rpc.handlers import Handlers
from tieline.wire.frames import Kind

# -- credit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1 * KiB, 256 * KiB, 8 * MiB])
async def test_a_stalled_reader_stalls_only_its_own_stream_and_the_server_keeps_little(lab, window):
    async with nothing_left():
        board = Board()
        await board.machine(lab)
        caller = await board.join("laptop", limits=Limits(window=window))
        stalled = caller.stream("lab-1/flood", pieces=1024, size=64 * KiB)  # 64 MiB
        await stalled.__anext__()
        most = 0
        before = -1
        while lab.given != before:  # as far as it goes
            before = lab.given
            for _ in range(200):
                await asyncio.sleep(0)
                most = max(most, board.held())
        assert lab.given < 1024 or window > 64 * MiB
        assert most <= board.limits.window + board.limits.send_buffer + 2 * 64 * KiB
        assert [n async for n in caller.stream("lab-1/items", values=list(range(5000)))] == list(range(5000))
        assert await caller.call("lab-1/add", a=1, b=1) == 2
        rest = 1
        async for piece in stalled:
            assert piece[:4] == rest.to_bytes(4, "big")
            assert len(piece) == 64 * KiB
            rest += 1
        assert rest == 1024
        await settle()
        board.nothing_open()
        await board.close()


async def test_a_stalled_handler_stalls_only_the_stream_that_is_sent_to_it(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    given = 0

    async def pieces():
        nonlocal given
        for _ in range(1024):
            given += 1
            yield bytes(64 * KiB)

    taking = asyncio.create_task(caller.call("lab-1/take", source=pieces()))
    most = 0
    for _ in range(3000):
        await asyncio.sleep(0)
        most = max(most, board.held())
    assert given < 20
    assert most <= board.limits.window + board.limits.send_buffer + 2 * 64 * KiB
    assert await caller.call("lab-1/add", a=1, b=1) == 2
    lab.gate.set()
    assert await taking == 1024
    await settle()
    board.nothing_open()


async def test_a_caller_whose_socket_does_not_take_it_costs_one_window(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    stalled = caller.stream("lab-1/flood", pieces=1024, size=64 * KiB)
    await stalled.__anext__()
    caller.link.stream.pause_reading()
    most = 0
    for _ in range(3000):
        await asyncio.sleep(0)
        most = max(most, board.held())
    assert lab.given < 30
    assert most <= board.limits.window + board.limits.send_buffer + 2 * 64 * KiB
    other = await board.join("desk", account="bob")
    assert await other.call("lab-1/add", a=1, b=1) == 2
    caller.link.stream.resume_reading()
    assert len([piece async for piece in stalled]) == 1023
    await settle()
    board.nothing_open()


async def test_many_streams_both_ways_at_once_over_the_same_two_links(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")

    async def one(seed):
        dice = random.Random(seed)
        pieces = [dice.randbytes(dice.randrange(40_000)) for _ in range(40)]
        assert [piece async for piece in caller.stream("lab-1/echo", source=source(pieces))] == pieces

    await asyncio.gather(*(one(seed) for seed in range(50)))
    await settle()
    board.nothing_open()


async def test_a_thousand_calls_at_once(board, lab):
    await board.machine(lab)
    callers = [await board.join("laptop", account=name) for name in ("bob", "eve")]
    lab.gate.clear()
    waiting = [asyncio.create_task(caller.call("lab-1/wait")) for caller in callers for _ in range(500)]
    await until(lambda: [board.seat(caller).open_work for caller in callers] == [500, 500])
    assert await callers[0].call("lab-1/add", a=20, b=22) == 42
    lab.gate.set()
    assert await asyncio.gather(*waiting) == ["done"] * 1000
    await settle()
    board.nothing_open()


# -- limits of either side --------------------------------------------------------------------------------------------


async def test_what_is_too_large_for_the_other_side_is_an_error_and_no_more(lab):
    async with nothing_left():
        board = Board()
        await board.machine(lab, limits=Limits(frame=20 * KiB))
        caller = await board.join("laptop", limits=Limits(frame=30 * KiB))
        with pytest.raises(TooLarge, match="the call is"):
            await caller.call("lab-1/say", value="x" * 25 * KiB)
        with pytest.raises(TooLarge, match="lab-1/take: an element"):
            await caller.call("lab-1/take", source=source([b"small", bytes(25 * KiB), b"after"]))
        assert b"after" not in lab.taken
        with pytest.raises(TooLarge, match="lab-1/flood: an element"):
            async for _ in caller.stream("lab-1/flood", pieces=2, size=40 * KiB):
                pass
        handlers = Handlers()
        handlers.add(lambda: "x" * 40 * KiB, "long")
        await board.machine(handlers, "lab-2")
        with pytest.raises(TooLarge, match="lab-2/long: an element or the answer"):
            await caller.call("lab-2/long")
        assert await caller.call("lab-1/add", a=1, b=1) == 2
        await settle()
        board.nothing_open()
        await board.close()


async def test_a_machine_takes_as_many_calls_as_the_limit_and_one_account_half_of_them(lab):
    async with nothing_left():
        board = Board(Limits(calls=4))
        await board.machine(lab)
        caller, twin = await board.join("laptop", account="bob"), await board.join("desk", account="bob")
        other, last = await board.join("desk", account="eve"), await board.join("desk", account="kim")
        lab.gate.clear()
        waiting = [asyncio.create_task(each.call("lab-1/wait")) for each in (caller, twin, other, other)]
        await until(lambda: board.switchboard.machine("lab-1").offerings[0].open == 4)
        for peer, sentence in ((last, "that machine has all it can take"), (twin, "that machine has all it can take")):
            with pytest.raises(Overloaded, match=sentence):
                await peer.call("lab-1/add", a=1, b=1)
        waiting[3].cancel()
        await until(lambda: board.switchboard.machine("lab-1").offerings[0].open == 3)
        with pytest.raises(Overloaded, match="bob has half of all calls"):
            await twin.call("lab-1/add", a=1, b=1)
        assert await last.call("lab-1/add", a=1, b=1) == 2
        lab.gate.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        await settle()
        assert await twin.call("lab-1/add", a=1, b=1) == 2
        board.nothing_open()
        await board.close()


async def test_answers_to_a_caller_who_does_not_read_are_kept_up_to_a_limit(lab):
    async with nothing_left():
        board = Board(Limits(answers=1 * MiB, relay_backlog=256 * KiB))
        await board.machine(lab)
        caller = await board.join("laptop", account="bob")
        lab.gate.clear()
        handlers = Handlers()

        @handlers.method("big")
        async def big() -> bytes:
            await lab.gate.wait()
            return bytes(100 * KiB)

        await board.machine(handlers, "lab-2")
        waiting = [asyncio.create_task(caller.call("lab-2/big")) for _ in range(200)]
        await until(lambda: board.seat(caller).open_work == 200)
        await settle()
        caller.link.stream.pause_reading()
        lab.gate.set()
        await until(lambda: board.seat(caller).open_work == 0)
        assert board.held() < 2 * MiB
        refused = asyncio.create_task(caller.call("lab-1/add", a=1, b=1))
        await settle()
        caller.link.stream.resume_reading()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        whole = [answer for answer in answers if answer == bytes(100 * KiB)]
        assert 10 <= len(whole) < 30
        assert all(isinstance(answer, Overloaded) for answer in answers if answer not in whole[:1])
        await asyncio.gather(refused, return_exceptions=True)
        assert await caller.call("lab-1/add", a=1, b=1) == 2
        await settle()
        board.nothing_open()
        await board.close()


async def test_a_machine_that_does_not_read_is_sent_no_more_than_a_backlog(lab):
    async with nothing_left():
        board = Board(Limits(relay_backlog=256 * KiB))
        machine = await board.machine(lab)
        caller = await board.join("laptop")
        machine.link.stream.pause_reading()
        refused = 0
        for _ in range(200):
            call = asyncio.create_task(caller.call("lab-1/say", value=bytes(20 * KiB)))
            await settle(10)
            call.cancel()
            result = (await asyncio.gather(call, return_exceptions=True))[0]
            refused += isinstance(result, Overloaded)
            await settle(10)
        assert refused > 150
        assert board.held() < 256 * KiB + 100 * KiB
        machine.link.stream.resume_reading()
        await settle(50)
        assert await caller.call("lab-1/add", a=1, b=1) == 2
        board.nothing_open()
        await board.close()


# -- frames of the hostile --------------------------------------------------------------------------------------------


async def test_a_machine_that_breaks_the_rules_ends_its_own_link_and_the_call(board, lab):
    machine = await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    await settle()
    machine.link.stream.write(b"\x00\x00\x00\x00\x0b\x00\x00\x00\x02")  # CANCEL is not for who was called
    with pytest.raises(Unavailable, match="was lost"):
        await waiting
    assert caller.is_open
    assert not machine.is_open


async def test_a_caller_that_sends_beyond_its_credit_ends_its_own_link_only(board, lab):
    machine = await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    channel = caller.session.call(RAW(["lab-1/take", {}, None, True]), streaming=True)
    for _ in range(8):
        caller.session.out.append(
            (200 * KiB).to_bytes(4, "big") + bytes([Kind.DATA]) + channel.to_bytes(4, "big") + bytes(200 * KiB)
        )
    caller.link.flush()
    await until(lambda: not caller.is_open)
    assert machine.is_open
    other = await board.join("desk")
    assert await other.call("lab-1/add", a=1, b=1) == 2


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_frames_either_end_sends_the_server_goes_on(lab, seed, caplog):
    """Nothing but the rules of the protocol is broken, and only the link of who broke it ends."""
    dice = random.Random(seed)
    async with nothing_left():
        board = Board(Limits(window=4 * KiB, frame=64 * KiB))
        await board.machine(lab)
        machine, caller = await board.machine(Lab(), "lab-2"), await board.join("desk")
        caller.session.call(RAW(["lab-2/echo", {}, None, True]), streaming=True)
        caller.session.call(RAW(["lab-2/flood", {"pieces": 9, "size": 3000}]))
        caller.link.flush()
        await settle(dice.randrange(20))
        for _ in range(60):
            peer, ours = dice.choice(((caller, 1), (machine, 2)))
            if peer.link is None:
                break
            kind = dice.choice((4, 5, 6, 7, 7, 8, 8, 9, 9, 10, 11, 11, 13))
            payload = dice.choice(
                (b"", b"\x05", RAW(5000), RAW("x"), RAW(["a", "b"]), RAW(["lab-2/echo", {}, 1.0, True]))
            )
            channel = dice.choice((ours, ours + 2, ours + 4, 3 - ours, 5 - ours))
            peer.link.stream.write(
                len(payload).to_bytes(4, "big") + bytes([kind]) + channel.to_bytes(4, "big") + payload
            )
            await settle(dice.randrange(5))
        await settle()
        other = await board.join("laptop")
        assert await other.call("lab-1/add", a=1, b=1) == 2
        assert [n async for n in other.stream("lab-1/items", values=[1, 2, 3])] == [1, 2, 3]
        assert not [record for record in caplog.records if record.levelname == "ERROR"]
        await board.close()
        await settle()
        board.nothing_open()

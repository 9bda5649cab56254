"""Calls passed on: every kind of frame in both directions, cancellation, ends that go, deadlines."""

import asyncio
import random
from contextlib import aclosing

import msgspec
import pytest
from tests.rpc.board import RAW, Board
from tests.rpc.conftest import hang_up, nothing_left, settle, until
from tests.rpc.lab import Lab, source

from tieline.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    InternalError,
    InvalidArgument,
    LinkClosed,
    LinkError,
    NotFound,
    Unavailable,
)
from tieline.limits import KiB, Limits
from tieline.rpc.arrival import Arrival
from tieline.rpc.handlers import Handlers

# -- every kind of frame ----------------------------------------------------------------------------------------------


async def test_a_call_is_answered_by_the_machine(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop", account="bob")
    assert await caller.call("lab-1/add", a=1, b=2) == 3
    assert await caller.call("ada/lab-1/add", a=3, b=4, returns=int) == 7
    await settle()
    board.nothing_open()


async def test_a_method_of_the_server_itself_goes_nowhere_else(board, lab):
    board.handlers.add(lambda: "mine", "lab-1/add")
    await board.machine(lab)
    caller = await board.join("laptop")
    assert await caller.call("lab-1/add") == "mine"
    assert await caller.call("here") == "at the server"


@pytest.mark.parametrize(
    "payload",
    [b"\xc0", RAW([1, {"a": b"\x00"}]), b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", b"\xc7\x03\x2aabc", b"\xd9\x01a"],
    ids=["nil", "nested", "a long five", "an extension", "a long string"],
)
async def test_an_answer_crosses_as_the_very_bytes_it_was(board, payload):
    handlers = Handlers()
    handlers.add(lambda: msgspec.Raw(payload), "raw")
    await board.machine(handlers)
    caller = await board.join("laptop")
    assert await caller.call("lab-1/raw", returns=Arrival(bytes)) == payload


@pytest.mark.parametrize(
    ("method", "kind", "sentence"),
    [
        ("fail", Conflict, "two of a kind"),
        ("break", InternalError, "the machine that ran it"),
        ("stop", Cancelled, "stopped"),
        ("nothing", NotFound, "offers no method 'nothing'"),
    ],
)
async def test_errors_of_the_machine_reach_the_caller(board, lab, method, kind, sentence):
    await board.machine(lab)
    caller = await board.join("laptop")
    with pytest.raises(kind, match=sentence) as caught:
        await caller.call(f"lab-1/{method}")
    assert caught.value.remote
    assert "secret" not in str(caught.value)
    if method == "fail":
        assert caught.value.data == {"kind": [1, None]}
    with pytest.raises(InvalidArgument, match="b: expected `int`"):
        await caller.call("lab-1/add", a=1, b="x")
    await settle()
    board.nothing_open()


@pytest.mark.parametrize(
    "items",
    [
        [],
        [None],
        [1, "two", [3], {"four": 4.0}],
        [b""],
        [b"", b"x", b"\x00" * 9000],
        ["x" * 9000] * 3,
        list(range(3000)),
    ],
    ids=["none", "a null", "mixed", "empty bytes", "bytes", "larger than the window", "many"],
)
@pytest.mark.parametrize("window", [4 * KiB, 256 * KiB])
async def test_streams_cross_both_ways_whole_and_in_order(lab, items, window):
    async with nothing_left():
        board = Board(Limits(window=16 * KiB))
        await board.machine(lab, limits=Limits(window=window))
        caller = await board.join("laptop", limits=Limits(window=window))
        assert [item async for item in caller.stream("lab-1/items", values=items)] == items
        assert await caller.call("lab-1/take", source=source(items)) == len(items)
        assert lab.taken == items
        assert [item async for item in caller.stream("lab-1/echo", source=source(items))] == items
        await settle()
        board.nothing_open()
        await board.close()


@pytest.mark.parametrize(
    ("near", "middle", "far"),
    [(256, 256, 256), (4, 256, 256), (256, 4, 256), (256, 256, 4), (1024, 64, 4), (4, 64, 1024), (1, 1024, 1)],
)
async def test_large_streams_cross_byte_exact_whatever_the_windows(lab, near, middle, far):
    async with nothing_left():
        board = Board(Limits(window=middle * KiB))
        await board.machine(lab, limits=Limits(window=far * KiB))
        caller = await board.join("laptop", limits=Limits(window=near * KiB))
        dice = random.Random(near * middle * far)
        pieces = [dice.randbytes(dice.choice((0, 1, 100, 5000, 70_000, 300_000))) for _ in range(60)]
        back = [piece async for piece in caller.stream("lab-1/echo", source=source(pieces))]
        assert back == pieces
        await settle()
        board.nothing_open()
        await board.close()


async def test_what_a_stream_gave_before_it_failed_arrives_before_the_error(lab):
    async with nothing_left():
        board = Board()
        await board.machine(lab)
        caller = await board.join("laptop", limits=Limits(window=1 * KiB))
        stream = caller.stream("lab-1/then.fail", count=1000)
        assert [await stream.__anext__() for _ in range(1000)] == list(range(1000))
        with pytest.raises(Conflict, match="that was all"):
            await stream.__anext__()
        await settle()
        board.nothing_open()
        await board.close()


async def test_an_answer_before_the_callers_stream_is_over_ends_that_stream(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield sent

    assert await caller.call("lab-1/take", source=endless(), most=3) == 3
    await settle()
    board.nothing_open()
    assert not caller._calls.sources


async def test_a_value_where_a_stream_was_wanted_and_the_reverse(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    with pytest.raises(InvalidArgument, match="use stream"):
        await caller.call("lab-1/items", values=[1, 2])
    with pytest.raises(InvalidArgument, match="use call"):
        async for _ in caller.stream("lab-1/add", a=1, b=2):
            pass
    await settle()
    board.nothing_open()


# -- cancellation -----------------------------------------------------------------------------------------------------


async def test_cancelling_the_call_cancels_the_handler(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await until(lambda: lab.cancelled)
    await settle()
    board.nothing_open()


async def test_leaving_the_loop_ends_the_generator(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    async for _ in caller.stream("lab-1/flood", pieces=1000, size=9000):
        break
    await until(lambda: lab.closed)
    await settle()
    board.nothing_open()


async def test_a_source_that_fails_is_the_callers_error_and_cancels_the_handler(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")

    async def failing():
        yield 1
        raise ValueError("no more of this")

    with pytest.raises(ValueError, match="no more of this"):
        await caller.call("lab-1/take", source=failing())
    await settle()
    board.nothing_open()


# -- ends that go -----------------------------------------------------------------------------------------------------


async def test_a_machine_that_is_lost_is_an_error_at_once(board, lab):
    machine = await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    stalled = caller.stream("lab-1/flood", pieces=1024, size=64 * KiB)
    await stalled.__anext__()
    sending = asyncio.create_task(caller.call("lab-1/take", source=source([1], pause=lab.gate)))
    await settle()
    await hang_up(machine)
    with pytest.raises(Unavailable, match="was lost during the call"):
        await waiting
    with pytest.raises(Unavailable, match="was lost during the call"):
        await sending
    with pytest.raises(Unavailable, match="was lost during the call"):
        async for _ in stalled:
            pass
    with pytest.raises(Unavailable, match="is not here now"):
        await caller.call("lab-1/add", a=1, b=1)
    await settle()
    board.nothing_open()


async def test_a_caller_that_is_lost_cancels_what_runs_for_it(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    stalled = caller.stream("lab-1/flood", pieces=1024, size=64 * KiB)
    await stalled.__anext__()
    await until(lambda: board.seat(caller).open_work == 2)
    await settle()
    await hang_up(caller)
    with pytest.raises(LinkClosed):
        await waiting
    await until(lambda: lab.cancelled == 1 and lab.closed == 1)
    await settle()
    board.nothing_open()


async def test_a_caller_that_is_cut_cancels_what_runs_for_it_though_it_does_not_read(board, lab):
    await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work == 1)
    await settle()
    caller.link.stream.pause_reading()
    board.seat(caller).cut("access was revoked")
    await until(lambda: lab.cancelled == 1)
    caller.link.stream.resume_reading()
    with pytest.raises(LinkClosed, match="revoked"):
        await waiting


async def test_a_closing_server_waits_for_calls_it_passed_on(board, lab):
    machine = await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    await settle()
    for seat in (board.seat(machine), board.seat(caller)):
        seat.refuse_calls("the server is closing")
    running = board.seat(caller).running
    assert len(running) == 1
    with pytest.raises((LinkClosed, Unavailable)):
        await caller.call("lab-1/add", a=1, b=1)
    lab.gate.set()
    assert await waiting == "done"
    await until(lambda: caller.link is None and machine.link is None)


async def test_a_machine_that_is_leaving_takes_no_new_calls(board, lab):
    machine = await board.machine(lab)
    caller = await board.join("laptop")
    lab.gate.clear()
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    await settle()
    machine.refuse_calls("going home")
    await settle()
    with pytest.raises(Unavailable, match="just leaving"):
        await caller.call("lab-1/add", a=1, b=1)
    lab.gate.set()
    assert await waiting == "done"


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_goes_in_the_middle_nothing_is_left_at_the_server(lab, seed):
    dice = random.Random(seed)
    async with nothing_left():
        board = Board(Limits(window=dice.choice((4, 64, 256)) * KiB))
        machines = [await board.machine(lab, f"lab-{n}", limits=Limits(window=64 * KiB)) for n in range(2)]
        callers = [await board.join(f"desk-{n}", limits=Limits(window=8 * KiB)) for n in range(3)]

        async def one(caller):
            target = f"lab-{dice.randrange(2)}"
            try:
                match dice.randrange(4):
                    case 0:
                        await caller.call(f"{target}/say", value="x" * dice.randrange(20_000))
                    case 1:
                        pieces = dice.randrange(50)
                        async with aclosing(caller.stream(f"{target}/flood", pieces=pieces, size=10_000)) as stream:
                            async for _ in stream:
                                if dice.random() < 0.05:
                                    break
                    case 2:
                        pieces = [bytes(dice.randrange(30_000)) for _ in range(dice.randrange(20))]
                        async with aclosing(caller.stream(f"{target}/echo", source=source(pieces))) as stream:
                            async for _ in stream:
                                pass
                    case _:
                        async with aclosing(caller.stream(f"{target}/then.fail", count=300)) as stream:
                            async for _ in stream:
                                pass
            except (LinkError, Unavailable, Conflict, NotFound):
                pass

        tasks = [asyncio.create_task(one(dice.choice(callers))) for _ in range(60)]
        await settle(dice.randrange(60))
        for task in dice.sample(tasks, 15):
            task.cancel()
        await settle(dice.randrange(30))
        await hang_up(dice.choice(machines), dice.choice(callers))
        await asyncio.gather(*tasks, return_exceptions=True)
        await settle(100)
        board.nothing_open()
        await board.close()


# -- deadlines --------------------------------------------------------------------------------------------------------


def on_clock(clock, play):
    async def whole():
        async with nothing_left():
            board = Board(Limits(ping=1e6))
            await play(board)
            await board.close()

    clock.run(whole())


def test_a_deadline_travels_and_the_handler_is_stopped(clock):
    async def play(board):
        lab = Lab()
        await board.machine(lab)
        caller = await board.join("laptop")
        lab.gate.clear()
        waiting = asyncio.create_task(caller.call("lab-1/wait", timeout=5))
        await clock.advance(4.9)
        assert not waiting.done()
        assert not lab.cancelled
        await clock.advance(0.2)
        assert lab.cancelled == 1
        with pytest.raises(DeadlineExceeded):
            await waiting
        board.nothing_open()

    on_clock(clock, play)


def test_the_server_watches_the_deadline_of_a_machine_that_does_not(clock):
    async def play(board):
        lab = Lab()
        machine = await board.machine(lab)
        caller = await board.join("laptop")
        machine.link.stream.pause_reading()  # it hears of nothing
        channel = caller.session.call(RAW(["lab-1/wait", {}, 5.0]))  # and the caller's end does not watch
        caller.link.flush()
        await clock.advance(4.9)
        assert board.seat(caller).open_work == 1
        assert caller.session.is_open(channel)
        await clock.advance(0.2)
        assert board.seat(caller).open_work == 0
        assert not caller.session.is_open(channel)
        machine.link.stream.resume_reading()
        await clock.settle()
        board.nothing_open()

    on_clock(clock, play)


def test_a_machine_that_fell_silent_is_told_to_its_callers_within_seconds(clock):
    async def play(board):
        lab = Lab()
        machine = await board.machine(lab)
        caller = await board.join("laptop")
        lab.gate.clear()
        waiting = asyncio.create_task(caller.call("lab-1/wait"))
        await clock.advance(30)
        assert not waiting.done()  # it answers pings, and so is there
        machine.link.stream.pause_reading()
        await clock.advance(2 * board.limits.machine_ping + 1)
        with pytest.raises(Unavailable, match="was lost during the call"):
            await waiting

    on_clock(clock, play)


def test_a_caller_that_fell_silent_is_given_up_within_seconds(clock):
    async def play(board):
        lab = Lab()
        await board.machine(lab)
        caller = await board.join("laptop")
        lab.gate.clear()
        waiting = asyncio.create_task(caller.call("lab-1/wait"))
        await clock.settle()
        caller.link.stream.pause_reading()
        await clock.advance(2 * board.limits.machine_ping + 1)
        assert lab.cancelled == 1
        with pytest.raises(LinkClosed):
            await waiting

    on_clock(clock, play)

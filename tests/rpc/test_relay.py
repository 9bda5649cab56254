"""Calls passed on: every kind of frame in both directions, credit, ends that go, limits of either side."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from tests.rpc.board import RAW, Board
from tests.rpc.conftest import hang_up, nothing_left, settle, until

from tieline.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    InternalError,
    InvalidArgument,
    LinkClosed,
    LinkError,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
)
from tieline.limits import KiB, Limits, MiB
from tieline.rpc.arrival import Arrival
from tieline.rpc.handlers import Handlers
from tieline.wire.frames import Kind


class Lab(Handlers):
    """What the machine of these tests offers, and what happened there."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []
        self.given = 0
        self.cancelled = 0
        self.closed = 0
        self.gate = asyncio.Event()

        @self.method("add")
        def add(a: int, b: int) -> int:
            """The sum."""
            return a + b

        @self.method("say")
        def say(value: Any) -> Any:
            return value

        @self.method("fail")
        async def fail() -> None:
            raise Conflict("two of a kind", {"kind": [1, None]})

        @self.method("break")
        async def broken() -> None:
            raise RuntimeError("secret details")

        @self.method("wait")
        async def wait() -> str:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            return "done"

        @self.method("stop")
        async def stop() -> None:
            raise asyncio.CancelledError

        @self.method("items")
        async def items(values: list[Any]) -> AsyncIterator[Any]:
            for value in values:
                yield value

        @self.method("flood")
        async def flood(pieces: int, size: int) -> AsyncIterator[bytes]:
            try:
                for number in range(pieces):
                    self.given = number + 1
                    yield number.to_bytes(4, "big") * (size // 4)
            finally:
                self.closed += 1

        @self.method("then.fail")
        async def then_fail(count: int) -> AsyncIterator[int]:
            for number in range(count):
                yield number
            raise Conflict("that was all")

        @self.method("take")
        async def take(source: AsyncIterator[Any], most: int = 1 << 30) -> int:
            await self.gate.wait()
            async for item in source:
                self.taken.append(item)
                if len(self.taken) >= most:
                    break
            return len(self.taken)

        @self.method("echo")
        async def echo(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for item in source:
                yield item

        self.gate.set()


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
async def board():
    async with nothing_left():
        made = Board()
        yield made
        await made.close()


async def source(values, pause=None):
    for value in values:
        if pause is not None:
            await pause.wait()
        yield value


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

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.rpc.conftest import settle, until

from tieline.errors import InvalidArgument, LinkClosed, TooLarge
from tieline.limits import KiB, Limits
from tieline.rpc.outgoing import Outlet, Pourable
from tieline.wire.frames import Kind

SMALL = Limits(window=4 * KiB)


class Source:
    """A stream that remembers how far it was read and whether it was closed."""

    def __init__(self, items):
        self.items, self.given, self.closed = items, 0, False

    async def read(self):
        try:
            for item in self.items:
                yield item
                self.given += 1
        finally:
            self.closed = True


@pytest.fixture
def served(handlers):
    """`served.source = Source(…)` is what the method `items` streams; `taken` is what `take` has read."""
    handlers.taken = []
    handlers.gate = asyncio.Event()

    @handlers.method("items")
    async def items() -> AsyncIterator[Any]:
        async for item in handlers.source.read():
            yield item

    @handlers.method("items.closed")
    async def items_closed() -> AsyncIterator[Any]:
        try:
            async for item in (read := handlers.source.read()):
                yield item
        finally:
            await read.aclose()

    @handlers.method("take")
    async def take(source: AsyncIterator[Any], most: int = 1 << 30) -> int:
        await handlers.gate.wait()
        async for item in source:
            handlers.taken.append(item)
            if len(handlers.taken) >= most:
                break
        return len(handlers.taken)

    handlers.gate.set()
    return handlers


def nothing_open(*peers):
    for peer in peers:
        assert peer.session.open_channels == 0
        assert peer.open_work == 0
        assert not peer._calls.streams
        assert not peer._calls.replies
        assert not peer._calls.sources
        assert not peer.session._flows


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
async def test_items_arrive_whole_in_order_and_the_call_is_over(join, served, items):
    client, server = await join(served, limits=SMALL)
    served.source = Source(items)
    assert [item async for item in client.stream("items")] == items
    assert await client.call("take", source=Source(items).read()) == len(items)
    assert served.taken == items
    await settle()
    nothing_open(client, server)


async def test_bytes_of_any_kind_travel_raw(join, served):
    client, _ = await join(served)
    served.source = Source([bytearray(b"ab"), memoryview(b"cd")])
    assert [item async for item in client.stream("items", returns=bytes)] == [b"ab", b"cd"]


async def test_items_are_decoded_as_the_caller_wants_them(join, served):
    class Point(msgspec.Struct):
        x: int

    client, server = await join(served)
    served.source = Source([Point(1), Point(2)])
    assert [item async for item in client.stream("items", returns=Point)] == [Point(1), Point(2)]
    with pytest.raises(InvalidArgument, match="items: an item of the stream"):
        async for _ in client.stream("items", returns=str):
            pass
    await settle()
    nothing_open(client, server)


async def test_an_item_nobody_can_read_ends_its_stream_only(join, handlers):
    @handlers.method("take")
    async def take(source: AsyncIterator[int]) -> int:
        return sum([n async for n in source])

    async def bad():
        yield 1
        yield "two"

    client, server = await join(handlers)
    with pytest.raises(InvalidArgument, match=r"take.*`int`"):
        await client.call("take", source=bad())
    await settle()
    nothing_open(client, server)


async def test_an_item_larger_than_a_frame_is_too_large(join, served):
    client, server = await join(served)
    served.source = Source(["x" * (2 << 20)])
    with pytest.raises(TooLarge):
        await anext(client.stream("items"))
    source = Source([1, "x" * (2 << 20)])
    with pytest.raises(TooLarge):
        await client.call("take", source=source.read())
    assert source.closed
    await settle()
    nothing_open(client, server)


async def test_an_item_that_cannot_be_written_is_the_senders_error(join, served):
    client, server = await join(served)
    source = Source([1, object()])
    with pytest.raises(TypeError):
        await client.call("take", source=source.read())
    assert source.closed
    await settle()
    nothing_open(client, server)


# -- holding back ------------------------------------------------------------------------------------------------------


async def test_a_source_that_concludes_has_the_last_word(join, handlers):
    """Its reader has everything while the handler has not even come to its end; what that says then goes nowhere."""
    gate = asyncio.Event()
    finished = []

    class Concluding(Pourable):
        async def pour(self, outlet: Outlet) -> None:
            assert await outlet.ready()
            outlet.write(b"bytes")
            outlet.conclude("last")
            outlet.flush()
            await gate.wait()

    @handlers.method("concluding")
    async def concluding() -> AsyncIterator[Any]:
        try:
            yield Concluding()
            yield "too late"
        finally:
            finished.append(True)

    client, server = await join(handlers)
    assert [item async for item in client.stream("concluding")] == [b"bytes", "last"]
    assert not finished
    gate.set()
    await until(lambda: finished)
    await settle()
    nothing_open(client, server)


async def test_a_stalled_reader_holds_back_its_own_stream_only(join, served):
    client, _ = await join(served)
    stalled = Source([b"x" * 1000] * 100_000)
    served.source = stalled
    slow = client.stream("items")
    await anext(slow)
    await settle()
    held = stalled.given
    assert held <= 256 * KiB // 1000 + 2
    served.source = Source(range(20_000))
    assert sum([n async for n in client.stream("items")]) == sum(range(20_000))
    assert stalled.given == held
    assert await anext(slow) == b"x" * 1000
    await slow.aclose()


@pytest.mark.parametrize("size", [0, 1, 100, 20_000], ids=str)
async def test_what_waits_for_a_reader_is_bounded_by_window_and_one_frame(join, served, size):
    client, _ = await join(served, limits=SMALL)
    served.source = Source([b"x" * size] * 100_000)
    stream = client.stream("items")
    await anext(stream)
    await settle()
    waiting = client._calls.streams[1]._items
    assert sum(len(payload) + 64 for payload, _ in waiting) <= SMALL.window + size + 64
    await stream.aclose()


async def test_the_callers_stream_is_held_back_too(join, served):
    client, _ = await join(served, limits=SMALL)
    served.gate.clear()
    source = Source([b"x" * 100] * 100_000)
    call = asyncio.create_task(client.call("take", source=source.read()))
    await settle(100)
    assert source.given <= 4 * KiB // 100 + 2
    served.gate.set()
    await until(lambda: len(served.taken) > 1000)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not source.closed or source.given < 100_000
    await settle()
    assert source.closed


async def test_many_streams_at_once_all_arrive(join, served):
    client, server = await join(served, limits=SMALL)
    served.source = Source(range(200))

    async def read():
        return [n async for n in client.stream("items")]

    assert await asyncio.gather(*(read() for _ in range(50))) == [list(range(200))] * 50
    await settle()
    nothing_open(client, server)


async def test_a_stream_waits_for_the_socket_as_well_as_for_credit(join, served):
    client, server = await join(served, limits=Limits(window=1 << 30, send_buffer=10_000))
    served.source = Source([b"x" * 1000] * 2000)
    client.link.stream.pause_reading()
    reader = asyncio.create_task(anext(stream := client.stream("items")))
    await settle(100)
    assert server.link.stream.buffered() < 2 * 65536
    client.link.stream.resume_reading()
    await reader
    assert sum([1 async for _ in stream]) == 1999


# -- ending early ------------------------------------------------------------------------------------------------------


async def test_leaving_the_loop_stops_the_generator_and_runs_its_finally(join, served):
    client, server = await join(served)
    served.source = Source(range(1_000_000))
    async for item in client.stream("items.closed"):
        if item == 3:
            break
    await settle()
    assert served.source.closed
    nothing_open(client, server)


async def test_an_error_inside_the_loop_stops_the_generator_too(join, served):
    client, server = await join(served)
    served.source = Source(range(1_000_000))

    async def read():
        async for _ in client.stream("items.closed"):
            raise ValueError

    with pytest.raises(ValueError):
        await read()
    await settle()
    gc.collect()
    await settle()
    assert served.source.closed
    nothing_open(client, server)


async def test_aclose_stops_the_generator_and_whoever_still_reads(join, served):
    client, server = await join(served)

    @served.method("one")
    async def one() -> AsyncIterator[int]:
        yield 1
        await asyncio.get_running_loop().create_future()

    stream = client.stream("one")
    assert await anext(stream) == 1
    reader = asyncio.create_task(anext(stream))
    await settle()
    await stream.aclose()
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await reader
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await settle()
    nothing_open(client, server)


async def test_a_stream_closed_before_it_began_never_calls(join, served):
    client, server = await join(served)
    stream = client.stream("items")
    await stream.aclose()
    assert [item async for item in stream] == []
    nothing_open(client, server)


async def test_a_stream_never_read_never_calls(join, served):
    client, server = await join(served)
    client.stream("items")
    await settle()
    nothing_open(client, server)


async def test_cancelling_a_reader_and_reading_on_loses_nothing(join, served):
    client, _ = await join(served)
    gate = asyncio.Event()

    @served.method("gated")
    async def gated() -> AsyncIterator[int]:
        yield 1
        await gate.wait()
        yield 2

    stream = client.stream("gated")
    assert await anext(stream) == 1
    reader = asyncio.create_task(anext(stream))
    await settle()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    gate.set()
    assert [item async for item in stream] == [2]


async def test_two_tasks_may_not_read_one_stream(join, served):
    client, _ = await join(served)
    gate = asyncio.Event()

    @served.method("gated")
    async def gated() -> AsyncIterator[int]:
        await gate.wait()
        yield 1

    stream = client.stream("gated")
    first = asyncio.create_task(anext(stream))
    await settle()
    with pytest.raises(RuntimeError, match="two tasks"):
        await anext(stream)
    gate.set()
    assert await first == 1
    await stream.aclose()


async def test_two_streams_cannot_be_sent_with_one_call(join, served):
    client, server = await join(served)
    with pytest.raises(InvalidArgument, match="a, b"):
        await client.call("take", a=Source([]).read(), b=Source([]).read())
    nothing_open(client, server)


async def test_a_stream_nobody_asked_for_is_refused(join, served):
    served.add(lambda: 1, "one")

    @served.method("two")
    async def two() -> int:
        return 2

    client, server = await join(served)
    for method in ("one", "two"):
        with pytest.raises(InvalidArgument, match=f"{method}.*stream"):
            await client.call(method, source=Source([1]).read())
    await settle()
    nothing_open(client, server)


async def test_a_stream_the_caller_did_not_send_is_empty(join, served):
    client, _ = await join(served)
    assert await client.call("take") == 0


@pytest.mark.parametrize("items", [[], [1], [1, 2]])
async def test_call_and_stream_are_told_apart_with_a_sentence(join, served, items):
    served.add(lambda: 1, "one")
    served.source = Source(items)
    client, server = await join(served)
    with pytest.raises(InvalidArgument, match=r"use stream\(\)"):
        await client.call("items")
    with pytest.raises(InvalidArgument, match=r"use call\(\)"):
        await anext(client.stream("one"))
    await settle()
    nothing_open(client, server)


async def test_a_handler_that_has_heard_enough_answers_and_the_source_is_stopped(join, served):
    client, server = await join(served, limits=SMALL)
    source = Source(range(1_000_000))
    assert await client.call("take", source=source.read(), most=3) == 3
    await settle()
    assert source.closed
    assert source.given < 10_000
    nothing_open(client, server)


async def test_a_handler_that_fails_stops_the_source(join, handlers):
    @handlers.method("fail")
    async def fail(source: AsyncIterator[int]) -> None:
        await anext(source)
        raise InvalidArgument("enough")

    client, server = await join(handlers)
    source = Source(range(1_000_000))
    with pytest.raises(InvalidArgument, match="enough"):
        await client.call("fail", source=source.read())
    await settle()
    assert source.closed
    nothing_open(client, server)


async def test_cancelling_a_call_with_a_stream_stops_source_and_handler(join, served):
    client, server = await join(served)
    served.gate.clear()
    source = Source(range(1_000_000))
    call = asyncio.create_task(client.call("take", source=source.read()))
    await until(lambda: source.given)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await settle()
    assert source.closed
    nothing_open(client, server)


async def test_a_call_with_a_stream_is_not_made_again_since_its_stream_cannot_be(join, served):
    client, server = await join(served)
    served.gate.clear()
    source, linked = Source(range(1_000_000)), []

    async def next_link(self, timeout, turn):
        linked.append(turn)
        raise LinkClosed("there was no other")

    client.__class__ = type("Returning", (type(client),), {"__slots__": (), "_linked": next_link})
    call = asyncio.create_task(client.call("take", source=source.read(), retry=True))
    await until(lambda: source.given)
    server.link.abort(LinkClosed("gone"))
    with pytest.raises(LinkClosed):
        await call
    await settle()
    assert source.closed
    assert not linked
    assert not client._calls.sources


async def test_a_source_that_fails_is_the_callers_own_error_and_stops_the_handler(join, served):
    async def source():
        yield 1
        raise LookupError("no more")

    client, server = await join(served)
    with pytest.raises(LookupError, match="no more"):
        await client.call("take", source=source())
    with pytest.raises(LookupError, match="no more"):
        await anext(client.stream("take", source=source()))
    await settle()
    nothing_open(client, server)


async def test_a_source_that_does_not_want_to_end_bothers_nobody(join, served, caplog):
    async def source():
        try:
            while True:
                yield 1
        finally:
            raise LookupError("not so fast")

    client, server = await join(served)
    assert await client.call("take", source=source(), most=2) == 2
    await settle()
    nothing_open(client, server)
    assert "not so fast" in caplog.text


async def test_one_stream_can_be_passed_on_as_another(join, served):
    client, server = await join(served, limits=SMALL)
    served.source = Source(range(2000))
    assert await client.call("take", source=client.stream("items")) == 2000
    await settle()
    nothing_open(client, server)


@pytest.mark.parametrize("stage", ["begun", "waiting for credit", "ended"])
async def test_a_link_lost_in_a_stream_is_told_after_what_had_arrived(join, served, stage):
    client, server = await join(served, limits=SMALL)
    served.source = Source(range(10 if stage == "ended" else 100_000))
    stream = client.stream("items")
    got = [await anext(stream)]
    if stage != "begun":
        await settle(100)
    server.link.abort(LinkClosed("gone"))
    await settle()
    if stage == "ended":
        got += [item async for item in stream]
        assert got == list(range(10))
    else:
        with pytest.raises(LinkClosed):
            got.extend([item async for item in stream])
    assert served.source.closed or stage == "begun"


async def test_a_peer_that_sends_items_nobody_opened_a_stream_for_is_answered(join, served):
    client, server = await join(served)
    served.gate.clear()
    call = asyncio.create_task(client.call("take"))
    await until(lambda: server.open_work)
    server.session.send(Kind.ITEM, 1, b"\x01")
    server.link.flush()
    with pytest.raises(InvalidArgument, match="stream"):
        await call
    await settle()
    nothing_open(client, server)


async def test_large_items_both_ways_at_once_do_not_wait_for_each_other(join, handlers):
    @handlers.method("echo")
    async def echo(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for item in source:
            yield item

    client, server = await join(handlers)
    pieces = [bytes([n]) * 300 * KiB for n in range(40)]
    assert [piece async for piece in client.stream("echo", source=Source(pieces).read())] == pieces
    await settle()
    nothing_open(client, server)


@pytest.mark.parametrize("read_first", [0, 3])
async def test_a_stream_that_is_gathered_is_whole_and_never_stalls(join, served, read_first):
    """Far more than the window, with nobody waiting for it while it comes."""
    client, server = await join(served, limits=SMALL)
    items = [b"raw" * 500, {"a": 1}, b"", *(bytes(1000) for _ in range(200)), "last"]
    served.source = Source(items)
    stream = await client.start_stream("items", None, Any, {})
    assert [await anext(stream) for _ in range(read_first)] == items[:read_first]
    stream.gather()
    await until(lambda: stream.over)
    assert await stream.gathered() == items[read_first:]
    assert await stream.gathered() == []
    await settle()
    nothing_open(client, server)


async def test_gathering_ends_with_the_streams_error_and_can_be_given_up(join, served, handlers):
    @handlers.method("fails")
    async def fails() -> AsyncIterator[bytes]:
        yield b"part"
        raise InvalidArgument("no more")

    client, server = await join(served)
    stream = await client.start_stream("fails", None, Any, {})
    with pytest.raises(InvalidArgument, match="no more"):
        await stream.gathered()
    served.source = Source(iter(lambda: b"for ever", None))
    stream = await client.start_stream("items.closed", None, Any, {})
    reading = asyncio.ensure_future(stream.gathered())
    await until(lambda: stream.waiting > 100)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await stream.aclose()
    await until(lambda: served.source.closed)
    await settle()
    nothing_open(client, server)


async def test_a_gathered_item_nobody_can_read_is_said(join, served):
    client, _ = await join(served)
    served.source = Source([b"raw", "text"])
    stream = await client.start_stream("items", None, int, {})
    with pytest.raises(InvalidArgument, match="an item of the stream"):
        await stream.gathered()

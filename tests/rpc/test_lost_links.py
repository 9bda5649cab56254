"""What becomes of calls when their link ends, or the other side does not keep to the rules."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.rpc.conftest import settle, until

from tieline.errors import (
    InvalidArgument,
    LinkClosed,
    Unavailable,
)
from tieline.promise import Promise, tell_all
from tieline.rpc.peer import Peer
from tieline.wire.frames import Kind, frame

# -- the link ends ---------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(handlers):
    ended = []

    @handlers.method("wait")
    async def wait():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("wait")

    @handlers.method("items")
    async def items() -> AsyncIterator[int]:
        try:
            n = 0
            while True:
                yield n
                n += 1
                await asyncio.sleep(0)
        finally:
            ended.append("items")

    @handlers.method("read")
    async def read(source: AsyncIterator[int]) -> int:
        try:
            return sum([n async for n in source])
        finally:
            ended.append("read")

    handlers.ended = ended
    return handlers


async def endless():
    while True:
        yield 1
        await asyncio.sleep(0)


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("how", ["abort", "close"])
async def test_a_lost_link_ends_everything_on_both_sides(join, patient, who, how, caplog):
    client, server = await join(patient)
    gone = []
    client.on_end(lambda peer: gone.append("client"))
    server.on_end(lambda peer: gone.append("server"))

    async def read():
        async for _ in client.stream("items"):
            pass

    tasks = [
        asyncio.create_task(client.call("wait")),
        asyncio.create_task(read()),
        asyncio.create_task(client.call("read", source=endless())),
    ]
    await until(lambda: server.open_work == 3)
    peer = client if who == "client" else server
    if how == "abort":
        peer.link.abort(LinkClosed("the cable was cut"))
    else:
        await peer.close("time to go")
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, LinkClosed)
        if how == "close" and who == "server":
            assert "time to go" in str(outcome)
    await settle()
    assert sorted(patient.ended) == ["items", "read", "wait"]
    assert sorted(gone) == ["client", "server"]
    assert server.open_work == 0
    assert not server.is_open
    assert not client.is_open
    assert not caplog.records
    with pytest.raises(LinkClosed):
        await client.call("wait")
    with pytest.raises(LinkClosed):
        await anext(client.stream("items"))
    with pytest.raises(LinkClosed):
        await client.call("read", source=endless())
    with pytest.raises(LinkClosed):
        await client.call("wait", retry=True)
    await client.close()


async def test_each_open_call_gets_an_error_of_its_own(join, patient):
    client, server = await join(patient)
    calls = [asyncio.create_task(client.call("wait")) for _ in range(3)]
    await until(lambda: server.open_work == 3)
    server.link.abort(LinkClosed("gone"))
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert len({id(error) for error in errors}) == 3


async def outlived(join, handlers, gate):
    """A handler that goes on after its link, until the gate opens; both peers, when their link is gone."""

    @handlers.method("stubborn")
    async def stubborn() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await gate.wait()
        return "late"

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("stubborn"))
    await until(lambda: server.open_work)
    server.link.abort(LinkClosed("gone"))
    with pytest.raises(LinkClosed):
        await call
    return client, server


async def test_a_handler_that_ends_after_its_link_bothers_nobody(join, handlers, caplog):
    gate = asyncio.Event()
    await outlived(join, handlers, gate)
    gate.set()
    await settle()
    assert not caplog.records


async def test_a_handler_of_an_old_link_never_answers_on_a_new_one(join, handlers, caplog):
    gate = asyncio.Event()
    client, server = await outlived(join, handlers, gate)
    # The same two peers get a new link, as a client does that comes back; channel 1 is used again.
    new_client, new_server = await join(handlers)
    client.use(new_client.link)
    server.use(new_server.link)
    call = asyncio.create_task(client.call("stubborn"))
    await until(lambda: server.open_work)
    gate.set()
    await settle()
    assert not call.done()
    assert server.open_work == 1
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await settle()


async def test_on_end_of_a_peer_that_is_gone_is_called_at_once_and_one_failure_stops_no_other(join, handlers, caplog):
    client, server = await join(handlers)
    told = []
    server.on_end(lambda peer: 1 / 0)
    server.on_end(told.append)
    client.link.abort(LinkClosed("gone"))
    await settle()
    server.on_end(told.append)
    assert told == [server, server]
    assert "ZeroDivisionError" in caplog.text


async def test_goaway_lets_open_calls_finish_and_takes_no_new_ones(join, handlers):
    gate = asyncio.Event()

    @handlers.method("wait")
    async def wait() -> int:
        await gate.wait()
        return 1

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("wait"))
    await until(lambda: server.open_work)
    server.refuse_calls("restarting")
    crossed = asyncio.create_task(client.call("wait"))
    await settle()
    with pytest.raises((Unavailable, LinkClosed)):
        await crossed
    with pytest.raises(LinkClosed):
        await client.call("wait")
    gate.set()
    assert await call == 1


@pytest.mark.parametrize("way", ["task", "future", "promise"])
async def test_the_last_answer_to_who_has_taken_leave_ends_the_link(join, handlers, way):
    promised, gate = Promise[int](outcome=1), asyncio.get_running_loop().create_future()

    async def task() -> int:
        return await gate

    def future() -> asyncio.Future[int]:
        return gate

    def promise() -> Promise[int]:
        return promised

    handlers.add({"task": task, "future": future, "promise": promise}[way], "wait")
    client, server = await join(handlers)
    call = asyncio.create_task(client.call("wait"))
    await until(lambda: server.open_work)
    client.refuse_calls("leaving")
    await until(lambda: server.goodbye)
    await settle()
    assert server.is_open
    gate.set_result(1)
    promised.tell()
    assert await call == 1
    await until(lambda: not server.is_open)


async def test_promises_that_are_told_together_are_answered_before_anything_else_is_done(join, handlers):
    promised = [Promise[int](outcome=number) for number in range(4)]
    given = iter(promised)

    @handlers.method("promise")
    def promise() -> Promise[int]:
        return next(given)

    ends = [await join(handlers) for _ in range(2)]
    calls = []
    for number in range(4):
        calls.append(asyncio.create_task(ends[number % 2][0].call("promise")))
        await until(lambda: sum(server.open_work for _, server in ends) == len(calls))
    before = [server.link.stream.bytes_out for _, server in ends]
    tell_all(promised)
    answer = len(frame(Kind.RESULT, 1, msgspec.msgpack.encode(1)))
    assert [server.link.stream.bytes_out for _, server in ends] == [size + 2 * answer for size in before]
    assert await asyncio.gather(*calls) == [0, 1, 2, 3]


async def test_a_call_that_crossed_the_goaway_is_unavailable(join, handlers):
    @handlers.method("wait")
    async def wait(): ...

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("wait"))
    await asyncio.sleep(0)
    server.session.goaway("restarting")  # not flushed yet when the call arrives
    with pytest.raises(Unavailable):
        await call


async def test_cut_stops_the_work_at_once(join, patient):
    client, server = await join(patient)
    call = asyncio.create_task(client.call("wait"))
    await until(lambda: server.open_work)
    await settle()
    server.cut("access was revoked")
    with pytest.raises(LinkClosed, match="access was revoked"):
        await call
    await settle()
    assert patient.ended == ["wait"]


async def test_a_handler_may_close_the_link_it_answers_on(join, handlers, caplog):
    @handlers.method("leave")
    async def leave(peer: Peer):
        await peer.close("you asked for it")
        await asyncio.sleep(0)

    @handlers.method("leave.now")
    def leave_now(peer: Peer):
        peer.cut("you asked for it")

    for method in ("leave", "leave.now"):
        client, _ = await join(handlers)
        with pytest.raises(LinkClosed, match="asked"):
            await client.call(method)
        await settle()
    assert not caplog.records


# -- a peer that does not keep to the rules --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x91\x01", b"\x93\xa1a\xa1\xff\xc0", b"\x93\xa1a\xa1b" + b"\x91" * 100_000]
)
async def test_an_error_nobody_can_read_ends_the_link_with_a_reason(join, patient, payload, caplog):
    client, server = await join(patient)
    call = asyncio.create_task(client.call("wait"))
    await until(lambda: server.open_work)
    server.session.send(Kind.ERROR, 1, payload)
    server.link.flush()
    with pytest.raises(LinkClosed, match="Fault"):
        await call
    await settle()
    assert not server.is_open


async def test_a_result_nobody_can_read_fails_its_call_only(join, patient):
    client, server = await join(patient)
    for payload in (b"", b"\xc1", b"\xa1\xff", b"\x91" * 100_000):
        call = asyncio.create_task(client.call("wait"))
        await until(lambda: server.open_work)
        (channel,) = server._work._running
        server.session.send(Kind.RESULT, channel, payload)
        server.link.flush()
        with pytest.raises(InvalidArgument, match="wait"):
            await call
        server._work.cancel(channel)
        await settle()


async def test_an_unexpected_error_while_dealing_with_a_frame_closes_the_link_and_is_logged(join, handlers, caplog):
    client, server = await join(handlers)
    server._work = None  # a bug of ours
    with pytest.raises(LinkClosed):
        await client.call("anything")
    assert "AttributeError" in caplog.text
    assert not server.is_open


async def test_nothing_is_kept_of_ten_thousand_calls(join, handlers):
    @handlers.method("one")
    async def one() -> int:
        return 1

    client, server = await join(handlers)
    for _ in range(10):
        await asyncio.gather(*(client.call("one", timeout=60) for _ in range(1000)))
    await settle()
    for peer in (client, server):
        assert peer.session.open_channels == 0
        assert not peer._calls.replies
        assert not peer._calls.streams
        assert not peer._calls.deadlines
    # The server's has none where tasks begin at once, and are over before anybody looks at the clock.
    assert len(client._calls.deadlines._steps) < 200
    assert server._calls.deadlines is None or len(server._calls.deadlines._steps) < 200


async def test_many_large_calls_with_large_answers_do_not_wait_for_each_other(join, handlers):
    handlers.add(lambda value: value, "say")
    client, _ = await join(handlers)
    values = [bytes([number]) * 100_000 for number in range(200)]
    assert await asyncio.gather(*(client.call("say", value=value) for value in values)) == values

"""Calls: errors, scopes, deadlines, cancelling, and many at once."""

import asyncio
import math
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.rpc.conftest import settle, until

from tieline.errors import (
    CallError,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    Denied,
    InternalError,
    LinkClosed,
    NotFound,
    Overloaded,
    TooLarge,
    UnknownFault,
)
from tieline.limits import Limits
from tieline.promise import Promise

# -- errors ----------------------------------------------------------------------------------------------------------


class Teapot(CallError):
    code = "teapot"


@pytest.fixture
def faulty(handlers):
    """One method for each way to fail."""

    def failing(way, error):
        def at_once():
            raise error()

        async def task():
            raise error()

        async def stream() -> AsyncIterator[int]:
            yield 1
            raise error()

        def future() -> asyncio.Future[int]:
            waiting = asyncio.get_running_loop().create_future()
            waiting.set_exception(error())
            return waiting

        def early() -> asyncio.Future[int]:
            raise error()

        def promise() -> Promise[int]:
            promised = Promise[int](outcome=error())
            asyncio.get_running_loop().call_soon(promised.tell)
            return promised

        return {
            "at_once": at_once,
            "task": task,
            "stream": stream,
            "future": future,
            "early": early,
            "promise": promise,
            "thread": at_once,
        }[way]

    for way in WAYS:
        handlers.add(failing(way, lambda: ValueError("the secret is 1234")), f"secret.{way}", thread=way == "thread")
        handlers.add(failing(way, lambda: Conflict("no", {"have": [1, 2]})), f"coded.{way}", thread=way == "thread")
        handlers.add(failing(way, lambda: Teapot("short and stout")), f"teapot.{way}", thread=way == "thread")
        handlers.add(failing(way, lambda: Conflict("no", object())), f"unwritable.{way}", thread=way == "thread")
        handlers.add(failing(way, lambda: Conflict("n" * 5_000_000)), f"wordy.{way}", thread=way == "thread")
        handlers.add(failing(way, asyncio.CancelledError), f"cancelled.{way}")
    return handlers


WAYS = ["at_once", "task", "stream", "future", "early", "promise", "thread"]


async def outcome(client, method):
    if method.endswith("stream"):
        return [item async for item in client.stream(method)]
    return await client.call(method)


@pytest.mark.parametrize("way", WAYS)
async def test_an_unexpected_exception_is_kept_from_the_caller_and_told_to_the_log(join, faulty, way, caplog):
    client, _ = await join(faulty)
    with pytest.raises(InternalError) as caught:
        await outcome(client, f"secret.{way}")
    assert "1234" not in str(caught.value)
    assert caught.value.data is None
    assert caught.value.remote
    assert f"secret.{way}" in caplog.text
    assert "ValueError: the secret is 1234" in caplog.text


@pytest.mark.parametrize("way", WAYS)
async def test_a_coded_error_keeps_code_message_and_data(join, faulty, way, caplog):
    client, _ = await join(faulty)
    with pytest.raises(Conflict) as caught:
        await outcome(client, f"coded.{way}")
    assert (caught.value.message, caught.value.data, caught.value.remote) == ("no", {"have": [1, 2]}, True)
    assert not caplog.records


@pytest.mark.parametrize("way", WAYS)
async def test_a_code_we_do_not_know_is_kept(join, faulty, way):
    client, _ = await join(faulty)
    with pytest.raises(UnknownFault, match="short and stout") as caught:
        await outcome(client, f"teapot.{way}")
    assert caught.value.fault_code == "teapot"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["unwritable", "wordy"])
async def test_an_error_that_does_not_fit_the_wire_still_answers(join, faulty, way, kind):
    client, _ = await join(faulty)
    with pytest.raises(Conflict, match="n"):
        await outcome(client, f"{kind}.{way}")
    with pytest.raises(Conflict):  # and the link is as good as before
        await outcome(client, "coded.at_once")


@pytest.mark.parametrize("way", [way for way in WAYS if way != "thread"])
async def test_a_handler_that_was_cancelled_from_within_answers_so(join, faulty, way):
    client, _ = await join(faulty)
    with pytest.raises(Cancelled):
        await outcome(client, f"cancelled.{way}")
    with pytest.raises(Conflict):
        await outcome(client, "coded.at_once")


async def test_an_error_passed_on_keeps_its_code(join, handlers):
    @handlers.method("relay")
    async def relay():
        raise UnknownFault("teapot", "short", {"a": 1})

    client, _ = await join(handlers)
    with pytest.raises(UnknownFault) as caught:
        await client.call("relay")
    assert (caught.value.fault_code, caught.value.data) == ("teapot", {"a": 1})


async def test_a_result_that_cannot_be_written_is_an_internal_error(join, handlers, caplog):
    for name, value in (("odd", object()), ("big", 2**70), ("surrogate", "\udc80")):
        handlers.add(_returning(value), name)
    client, _ = await join(handlers)
    for name in ("odd", "big", "surrogate"):
        with pytest.raises(InternalError):
            await client.call(name)
        assert name in caplog.text


def _returning(value):
    def method():
        return value

    return method


@pytest.mark.parametrize("way", ["at_once", "task", "future", "promise", "thread"])
async def test_a_result_larger_than_a_frame_is_too_large(join, handlers, way):
    big = bytes(2 << 20)

    async def task() -> bytes:
        await asyncio.sleep(0)
        return big

    def future() -> asyncio.Future[bytes]:
        return asyncio.ensure_future(task())

    def promise() -> Promise[bytes]:
        return Promise(outcome=big, is_told=True)

    ways = {"at_once": _returning(big), "thread": _returning(big), "task": task, "future": future, "promise": promise}
    handlers.add(
        ways[way],
        "big",
        thread=way == "thread",
    )
    client, _ = await join(handlers)
    with pytest.raises(TooLarge) as caught:
        await client.call("big")
    assert caught.value.remote
    with pytest.raises(TooLarge) as caught:
        await client.call("big", x=big)
    assert not caught.value.remote


# -- scopes ----------------------------------------------------------------------------------------------------------


async def test_the_scope_is_checked_before_the_arguments_are_even_read(join, handlers):
    ran = []
    handlers.add(lambda: ran.append(1), "secret", scope="admin")
    client, _ = await join(handlers)
    with pytest.raises(Denied, match="admin"):
        await client.call("secret", whatever=1)
    assert not ran


# -- deadlines -------------------------------------------------------------------------------------------------------


def test_a_call_is_given_up_at_its_deadline_and_the_handler_stopped(story, handlers, clock):
    stopped = []

    @handlers.method("forever")
    async def forever():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.append(clock.now)

    async def play(client, server):
        start = clock.now
        call = asyncio.create_task(client.call("forever", timeout=5.0))
        await clock.advance(4.9)
        assert not call.done()
        assert not stopped
        await clock.advance(0.2)
        with pytest.raises(DeadlineExceeded) as caught:
            await call
        assert not caught.value.remote
        assert "forever" in str(caught.value)
        assert stopped[0] - start == pytest.approx(5.0, abs=0.05)
        assert server.open_work == client.session.open_channels == 0

    story(play, handlers)


def test_the_callee_keeps_the_deadline_even_when_the_caller_does_not(story, handlers, clock):
    stopped = []

    @handlers.method("forever")
    async def forever():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.append(clock.now)

    async def play(client, server):
        call = asyncio.create_task(client.call("forever", timeout=5.0))
        await clock.settle()
        client._calls.deadlines.remove(1)
        await clock.advance(5.1)
        assert stopped
        with pytest.raises(DeadlineExceeded) as caught:
            await call
        assert caught.value.remote

    story(play, handlers)


def test_a_stream_has_a_deadline_too(story, handlers, clock):
    stopped = []

    @handlers.method("slow")
    async def slow() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(2)
        finally:
            stopped.append(clock.now)

    async def play(client, server):
        got = []

        async def read():
            async for item in client.stream("slow", timeout=5.0):
                got.append(item)

        task = asyncio.create_task(read())
        await clock.advance(5.5)
        with pytest.raises(DeadlineExceeded):
            await task
        assert got == [1, 1, 1]
        assert stopped

    story(play, handlers)


def test_an_answer_in_time_leaves_no_deadline_behind(story, handlers, clock):
    @handlers.method("nap")
    async def nap(seconds: float):
        await asyncio.sleep(seconds)

    async def play(client, server):
        calls = [asyncio.create_task(client.call("nap", seconds=n, timeout=10.0)) for n in (1, 2, 3)]
        await clock.advance(4)
        await asyncio.gather(*calls)
        await clock.advance(10)
        for peer in (client, server):
            assert not peer._calls.deadlines
            assert peer._calls.deadlines.next() is None

    story(play, handlers)


def test_a_late_answer_is_ignored_after_the_deadline(story, handlers, clock):
    @handlers.method("stubborn")
    async def stubborn():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return "late"

    async def play(client, server):
        with pytest.raises(DeadlineExceeded):
            await asyncio.gather(client.call("stubborn", timeout=1.0), clock.advance(2.0))
        await clock.advance(1.0)
        with pytest.raises(NotFound):
            await client.call("nothing")

    story(play, handlers)


@pytest.mark.parametrize("timeout", [0, -1.0, 1e-9, -math.inf])
def test_a_timeout_that_is_over_already_is_a_deadline(story, handlers, clock, timeout):
    @handlers.method("forever")
    async def forever():
        await asyncio.get_running_loop().create_future()

    async def play(client, server):
        call = asyncio.create_task(client.call("forever", timeout=timeout))
        await clock.advance(0.05)
        with pytest.raises(DeadlineExceeded):
            await call
        assert server.open_work == 0

    story(play, handlers)


@pytest.mark.parametrize("timeout", [math.inf, math.nan, 1e300])
async def test_a_timeout_beyond_all_bounds_is_none(join, handlers, timeout, caplog):
    @handlers.method("nap")
    async def nap() -> int:
        await asyncio.sleep(0)
        return 1

    client, _ = await join(handlers)
    assert await client.call("nap", timeout=timeout) == 1
    assert not caplog.records


# -- cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["task", "future"])
async def test_cancelling_the_call_cancels_the_handler(join, handlers, way):
    ended = asyncio.Event()

    async def task():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    def future() -> asyncio.Future[None]:
        return asyncio.ensure_future(task())

    handlers.add({"task": task, "future": future}[way], "forever")
    client, server = await join(handlers)
    call = asyncio.create_task(client.call("forever"))
    await until(lambda: server.open_work)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(ended.is_set)
    await settle()
    assert server.open_work == server.session.open_channels == client.session.open_channels == 0
    assert not client._calls.replies


async def test_a_promise_nobody_waits_for_any_more_is_let_go_and_may_still_come(join, handlers):
    promised = [Promise[int](outcome=number) for number in range(4)]
    given = iter(promised)

    @handlers.method("promise")
    def promise() -> Promise[int]:
        return next(given)

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("promise"))
    await until(lambda: server.open_work)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(DeadlineExceeded):
        await client.call("promise", timeout=0.01)
    await until(lambda: not server.open_work)
    kept = asyncio.create_task(client.call("promise"))
    await until(lambda: server.open_work)
    for each in promised[:3]:
        each.tell()
    assert await kept == 2, "each answer goes to its own call"
    lost = asyncio.create_task(client.call("promise"))
    await until(lambda: server.open_work)
    client.link.stream.abort()
    with pytest.raises(LinkClosed):
        await lost
    await until(lambda: not server.open_work)
    promised[3].tell()
    assert not any(each._listener for each in promised)


async def test_a_handler_may_take_its_time_to_stop(join, handlers):
    gate, ended = asyncio.Event(), asyncio.Event()

    @handlers.method("careful")
    async def careful():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await gate.wait()
            ended.set()

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("careful"))
    await until(lambda: server.open_work)
    call.cancel()
    await settle()
    assert server.open_work == 1
    gate.set()
    await until(ended.is_set)
    await settle()
    assert server.open_work == 0


async def test_cancelling_a_call_that_was_just_answered_harms_nobody(join, handlers):
    handlers.add(_returning(1), "one")
    client, _ = await join(handlers)
    for turns in range(8):
        call = asyncio.create_task(client.call("one"))
        await settle(turns)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await settle()
    assert client.session.open_channels == 0


# -- many calls ------------------------------------------------------------------------------------------------------


async def test_more_open_calls_than_allowed_are_refused_and_the_rest_are_fine(join, handlers):
    gate = asyncio.Event()

    @handlers.method("wait")
    async def wait(n: int) -> int:
        await gate.wait()
        return n

    client, server = await join(handlers)
    calls = [asyncio.create_task(client.call("wait", n=n)) for n in range(1100)]
    await until(lambda: sum(call.done() for call in calls) == 76)
    assert server.open_work == 1024
    gate.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers[:1024] == list(range(1024))
    assert all(isinstance(answer, Overloaded) for answer in answers[1024:])
    assert await client.call("wait", n=5) == 5


async def test_thousands_of_calls_in_flight_each_get_their_own_answer(join, handlers):
    @handlers.method("same")
    def same(n: int) -> int:
        return n

    client, _ = await join(handlers)
    assert await asyncio.gather(*(client.call("same", n=n) for n in range(5000))) == list(range(5000))


async def test_a_read_full_of_questions_with_large_answers_is_answered_bit_by_bit(join, handlers):
    handlers.add(_returning(bytes(100_000)), "big")
    client, server = await join(handlers, limits=Limits(send_buffer=65536))
    client.link.stream.pause_reading()
    calls = [asyncio.create_task(client.call("big")) for _ in range(3000)]
    await settle()
    assert server.link.stream.buffered() < 30_000_000
    client.link.stream.resume_reading()
    assert {len(answer) for answer in await asyncio.gather(*calls)} == {100_000}


@pytest.mark.parametrize("way", ["task", "future", "promise", "thread"])
async def test_answers_of_calls_that_waited_do_not_pile_up_for_who_does_not_read(join, handlers, way):
    gate = asyncio.get_running_loop().create_future()

    async def task() -> bytes:
        await gate
        return bytes(100_000)

    def future() -> asyncio.Future[bytes]:
        return asyncio.ensure_future(task())

    def thread() -> bytes:
        return asyncio.run_coroutine_threadsafe(task(), loop).result()

    def promise() -> Promise[bytes]:
        promised = Promise[bytes](outcome=bytes(100_000))
        gate.add_done_callback(lambda _: promised.tell())
        return promised

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(100))
    ways = {"task": task, "future": future, "promise": promise, "thread": thread}
    handlers.add(ways[way], "big", thread=way == "thread")
    client, server = await join(handlers, limits=Limits(answers=1_000_000))
    calls = [asyncio.create_task(client.call("big")) for _ in range(100)]
    await until(lambda: server.open_work == 100)
    client.link.stream.pause_reading()
    gate.set_result(None)
    await asyncio.wait(server.running, timeout=30)
    await settle()
    assert server.open_work == 0
    assert 800_000 < server.link.stream.buffered() < 1_020_000
    client.link.stream.resume_reading()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    whole = [answer for answer in answers if answer == bytes(100_000)]
    assert 8 <= len(whole) <= 10
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 100 - len(whole)
    assert await client.call("big") == bytes(100_000), "who reads again is answered again"


async def test_what_is_no_name_is_refused_here_and_the_link_goes_on(join, handlers):
    handlers.add(lambda: "yes", "there")
    client, _ = await join(handlers)
    for wrong in (3, None, test_what_is_no_name_is_refused_here_and_the_link_goes_on):
        with pytest.raises(TypeError, match="by its name, a str"):
            await client.call(wrong)
        with pytest.raises(TypeError, match="by its name, a str"):
            client.stream(wrong)
    assert await client.call("there") == "yes"

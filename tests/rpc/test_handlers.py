import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Coroutine, Hashable, Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
import pytest
from tests.rpc.conftest import until

from tieline.errors import ConfigError, InvalidArgument, NotFound
from tieline.rpc.handlers import Handlers, Way
from tieline.rpc.peer import Peer


class Point(msgspec.Struct):
    x: int
    y: int = 0


# -- every way a handler can run --------------------------------------------------------------------------------------


async def test_a_plain_function_runs_at_once(join, handlers):
    @handlers.method("add")
    def add(a: int, b: int = 10) -> int:
        return a + b

    client, server = await join(handlers)
    assert await client.call("add", a=1) == 11
    assert await client.call("add", a=1, b=2) == 3
    assert server.open_work == 0


async def test_a_coroutine_function_may_wait(join, handlers):
    gate = asyncio.Event()

    @handlers.method("wait")
    async def wait(text: str) -> str:
        await gate.wait()
        return text

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("wait", text="there"))
    await until(lambda: server.open_work)
    gate.set()
    assert await call == "there"
    await asyncio.sleep(0)
    assert server.open_work == 0


async def test_a_blocking_function_runs_in_a_thread(join, handlers):
    @handlers.method("where", thread=True)
    def where() -> str:
        return threading.current_thread().name

    client, _ = await join(handlers)
    assert await client.call("where") != threading.current_thread().name


async def test_a_function_may_return_a_future(join, handlers):
    futures = []

    @handlers.method("later")
    def later() -> asyncio.Future[int]:
        futures.append(asyncio.get_running_loop().create_future())
        return futures[-1]

    client, server = await join(handlers)
    call = asyncio.create_task(client.call("later"))
    await until(lambda: futures)
    assert server.open_work == 1
    futures[0].set_result(7)
    assert await call == 7
    assert server.open_work == 0


async def test_a_function_may_return_a_future_of_a_thread(join, handlers):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        @handlers.method("later")
        def later(n: int) -> concurrent.futures.Future[int]:
            return pool.submit(pow, n, 2)

        client, _ = await join(handlers)
        assert await client.call("later", n=3) == 9


async def test_a_function_may_return_anything_awaitable(join, handlers):
    async def work(n):
        return n + 1

    @handlers.method("later")
    def later(n: int) -> Awaitable[int]:
        return work(n)

    client, _ = await join(handlers)
    assert await client.call("later", n=3) == 4


async def test_an_async_generator_answers_with_a_stream(join, handlers):
    @handlers.method("count")
    async def count(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    client, _ = await join(handlers)
    assert [n async for n in client.stream("count", to=5)] == [0, 1, 2, 3, 4]


async def test_a_handler_reads_the_callers_stream(join, handlers):
    @handlers.method("total")
    async def total(start: int, numbers: AsyncIterator[int]) -> int:
        return start + sum([n async for n in numbers])

    async def source():
        for n in range(4):
            yield n

    client, _ = await join(handlers)
    assert await client.call("total", start=100, numbers=source()) == 106


async def test_streams_go_both_ways_at_once(join, handlers):
    @handlers.method("double")
    async def double(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for n in numbers:
            yield 2 * n

    answers = []

    async def source():
        for n in range(3):
            yield n
            await until(lambda n=n: len(answers) > n)  # the next question is asked when this one is answered

    client, _ = await join(handlers)
    async for n in client.stream("double", numbers=source()):
        answers.append(n)
    assert answers == [0, 2, 4]


async def test_the_calling_peer_is_given_to_whoever_asks_for_it(join, handlers):
    @handlers.method("who")
    def who(before: int, peer: Peer, after: int = 3, *, last: str = "z") -> list[Any]:
        return [before, peer.identity.account, after, last]

    client, _ = await join(handlers)
    assert await client.call("who", before=1) == [1, "ada", 3, "z"]
    assert await client.call("who", before=1, last="y", after=2) == [1, "ada", 2, "y"]


async def test_both_ends_call_each_other(join, handlers):
    mine = Handlers()

    @mine.method("name")
    def name() -> str:
        return "a client"

    @handlers.method("greet")
    async def greet(peer: Peer) -> str:
        return "hello " + await peer.call("name")

    client, server = await join(handlers, client_handlers=mine)
    assert await client.call("greet") == "hello a client"
    assert await server.call("name") == "a client"


async def test_values_are_decoded_as_the_annotations_and_the_caller_say(join, handlers):
    @handlers.method("flip")
    def flip(point: Point, by: dict[str, int] | None = None) -> Point:
        return Point(point.y, point.x + (by or {}).get("x", 0))

    client, _ = await join(handlers)
    assert await client.call("flip", point=Point(1, 2), returns=Point) == Point(2, 1)
    assert await client.call("flip", point={"x": 5}, by={"x": 1}) == {"x": 0, "y": 6}
    with pytest.raises(InvalidArgument, match="result of flip"):
        await client.call("flip", point=Point(1), returns=str)


async def test_a_default_that_can_be_changed_is_new_for_each_call(join, handlers):
    @handlers.method("add")
    def add(n: int, to: list[int] = []) -> list[int]:  # noqa: B006
        to.append(n)
        return to

    client, _ = await join(handlers)
    assert [await client.call("add", n=n) for n in (1, 2)] == [[1], [2]]


async def test_order_of_parameters_and_defaults_does_not_matter(join, handlers):
    @handlers.method("mixed")
    def mixed(a: int = 1, *, b: int, c: int = 3, d: int) -> list[int]:
        return [a, b, c, d]

    client, _ = await join(handlers)
    assert await client.call("mixed", d=4, b=2) == [1, 2, 3, 4]


# -- what else can be called -------------------------------------------------------------------------------------------


def logged(function):
    """As people write decorators: a plain function around whatever it is given."""

    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


async def test_what_a_partial_has_filled_in_is_settled(join, handlers):
    def pay(sum: int, account: str, *, limit: int = 10) -> str:
        return f"{min(sum, limit)} to {account}"

    handlers.add(functools.partial(pay, account="ada"), "pay")
    handlers.add(functools.partial(pay, 5), "five")
    client, _ = await join(handlers)
    assert await client.call("pay", sum=30) == "10 to ada"
    assert await client.call("pay", sum=30, limit=20) == "20 to ada"
    assert await client.call("five", account="bob") == "5 to bob"
    with pytest.raises(InvalidArgument, match="unknown argument `account`"):
        await client.call("pay", sum=30, account="eve")


async def test_objects_that_can_be_called_are_methods(join, handlers):
    class Adder:
        def __call__(self, to: Annotated[int, msgspec.Meta(ge=0)]) -> int:
            return to + 1

    class Waiter:
        async def __call__(self, peer: Peer, to: "int") -> int:
            await asyncio.sleep(0)
            return to + len(peer.identity.account)

    handlers.add(Adder(), "add")
    handlers.add(Waiter(), "wait")
    client, _ = await join(handlers)
    assert await client.call("add", to=1) == 2
    assert await client.call("wait", to=1) == 4
    with pytest.raises(InvalidArgument, match="to: expected `int` >= 0"):
        await client.call("add", to=-1)


async def test_a_decorator_does_not_hide_that_a_function_waits(join, handlers):
    @handlers.method("wait")
    @logged
    async def wait(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @handlers.method("count")
    @logged
    async def count(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    @handlers.method("made")
    def made(to: int) -> AsyncIterator[int]:
        return count(to)

    @handlers.method("later")
    def later(n: int) -> Coroutine[Any, Any, int]:
        return wait(n)

    client, _ = await join(handlers)
    assert await client.call("wait", n=3) == 3
    assert await client.call("later", n=3) == 3
    for name in ("count", "made"):
        assert [n async for n in client.stream(name, to=3)] == [0, 1, 2]


async def test_a_stream_may_be_any_async_iterator(join, handlers):
    class Countdown:
        def __init__(self, start):
            self.n = start

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.n -= 1
            if self.n < 0:
                raise StopAsyncIteration
            return self.n

    @handlers.method("down")
    def down(start: int) -> AsyncIterator[int]:
        return Countdown(start)

    client, _ = await join(handlers)
    assert [n async for n in client.stream("down", start=3)] == [2, 1, 0]


# -- wrong arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"name": 5}, "name: expected `str`, got `int`"),
        ({}, "missing argument `name`"),
        ({"name": "x", "nmae": "y"}, "unknown argument `nmae`"),
        ({"name": "x", "times": -1}, "times: expected `int` >= 0"),
        ({"name": "x", "at": {"x": "1"}}, "at.x: expected `int`, got `str`"),
        ({"name": "x", "tags": ["a", 1]}, "tags[1]: expected `str`, got `int`"),
    ],
)
async def test_a_wrong_argument_is_named(join, handlers, params, says):
    @handlers.method("greet")
    def greet(
        name: str,
        times: Annotated[int, msgspec.Meta(ge=0)] = 1,
        at: Point | None = None,
        tags: list[str] = [],  # noqa: B006
    ) -> str:
        return name * times

    client, _ = await join(handlers)
    with pytest.raises(InvalidArgument) as caught:
        await client.call("greet", **params)
    assert caught.value.remote
    assert says in str(caught.value)
    assert "greet" in str(caught.value)


async def test_a_value_where_a_stream_is_wanted_says_so(join, handlers):
    @handlers.method("total")
    async def total(numbers: AsyncIterator[int]) -> int:
        return sum([n async for n in numbers])

    client, _ = await join(handlers)
    with pytest.raises(InvalidArgument, match=r"numbers: expected a stream, .* an async iterator"):
        await client.call("total", numbers=[1, 2])


async def test_an_unknown_method_says_how_to_find_the_known_ones(join, handlers):
    client, _ = await join(handlers)
    with pytest.raises(NotFound, match="gret"):
        await client.call("gret" + "x" * 5000)
    with pytest.raises(NotFound):
        async for _ in client.stream("gret"):
            pass


@pytest.mark.parametrize(
    "params", [b"\x90", b"\x01", b"\xc0", b"\x81\x01\x02", b"\x81\xa1\xff\x01", b"\x81\xa1a\xa1\xff"]
)
async def test_parameters_that_are_no_map_of_names_are_refused(join, handlers, params):
    @handlers.method("m")
    def m(a: str) -> None: ...

    client, _ = await join(handlers)
    with pytest.raises(InvalidArgument):
        handlers.find("m").arguments(params)
    with pytest.raises(InvalidArgument):
        await _raw_call(client, "m", params)
    with pytest.raises(InvalidArgument):
        await client.call("m", a=1)  # and the link is as good as before


@pytest.mark.parametrize("depth", [10_000, 1_000_000])
async def test_parameters_nested_too_deep_are_a_clean_error(join, handlers, depth):
    @handlers.method("m")
    def m(a: Any) -> int:
        return 1

    with pytest.raises(InvalidArgument):
        handlers.find("m").arguments(b"\x81\xa1a" + b"\x91" * depth + b"\xc0")


async def _raw_call(client, method, params):
    channel = client.session.call(msgspec.msgpack.encode((method, msgspec.Raw(params), None)))
    client.flush_soon()
    future = asyncio.get_running_loop().create_future()
    client._calls.replies[channel] = (future, msgspec.msgpack.decode, method)
    return await future


async def test_what_cannot_be_encoded_is_told_to_the_caller_before_anything_is_sent(join, handlers):
    client, _ = await join(handlers)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), 2**70, "\udc80", deep):
        with pytest.raises(InvalidArgument, match="m: "):
            await client.call("m", a=value)
        with pytest.raises(InvalidArgument, match="m: "):
            await anext(client.stream("m", a=value))
    assert client.session.open_channels == 0


# -- what cannot be a method -------------------------------------------------------------------------------------------


def test_what_cannot_be_a_method_is_refused_when_it_is_added(handlers):
    def star(*args: int) -> None: ...
    def named(**kwargs: int) -> None: ...
    def only(a: int, /) -> None: ...
    def two(a: AsyncIterator[int], b: AsyncIterator[int]) -> None: ...
    def odd(a: "Unknown") -> None: ...  # noqa: F821
    def union(a: Point | dict[str, int]) -> None: ...

    for function in (star, named, only, two, odd):
        with pytest.raises(ConfigError) as caught:
            handlers.add(function)
        assert function.__name__ in str(caught.value)
    assert len(handlers) == 0


def test_names_are_words_and_taken_once(handlers):
    handlers.add(lambda: None, "a.b-c/d_e")
    assert "a.b-c/d_e" in handlers
    for name in ("", "a b", ".a", "a.", "a..b", "é", "a\n", "1a"):
        with pytest.raises(ConfigError):
            handlers.add(lambda: None, name)
    with pytest.raises(ConfigError, match="exists"):
        handlers.add(lambda: None, "a.b-c/d_e")


def test_methods_of_an_object_are_methods(handlers):
    class Service:
        def bump(self, by: int) -> int:
            return by + 1

    handlers.add(Service().bump, "bump")
    handler = handlers.find("bump")
    assert handler.way is Way.AT_ONCE
    assert handler.invoke(handler.arguments(b"\x81\xa2by\x01"), None, None) == 2
    assert repr(handler) == "<Handler bump at once scope=None>"


class Plain:
    """Nothing that could be sent."""

    def bump(self, by: int) -> int:
        return by


async def promised() -> AsyncIterator[int]:
    return made()


async def made() -> AsyncIterator[int]:
    yield 1


def plain_generator(to: int) -> Iterator[int]:
    yield from range(to)


def takes(it: list[Plain | None]) -> None: ...


def gives() -> dict[str, Plain]:
    return {}


async def yields() -> AsyncIterator[Plain]:
    yield Plain()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (Plain.bump, "add the method of an object"),
        (promised, "yield the items in it, or leave out async"),
        (plain_generator, "make it an `async def`"),
        (takes, "parameter it: a Plain cannot be sent; a dataclass"),
        (gives, "its result: a Plain cannot be sent"),
        (yields, "its result: a Plain cannot be sent"),
        (3, "3 cannot be called"),
    ],
)
def test_a_mistake_that_every_call_would_show_is_told_when_it_is_added(handlers, function, says):
    with pytest.raises(ConfigError) as caught:
        handlers.add(function, "m")
    assert says in str(caught.value)
    assert len(handlers) == 0


def test_what_may_hold_something_that_can_be_sent_is_no_mistake(handlers):
    class Text(str):
        __slots__ = ()

    def anything(a: object, b: Hashable, c: Iterable[int], d: Mapping[str, Any]) -> Iterable[int]:
        return c

    def text() -> Text:
        return Text("a")

    handlers.add(anything)
    handlers.add(text)


def test_a_decorator_without_its_parentheses_says_so(handlers):
    with pytest.raises(ConfigError, match=r"gives: .* with the parentheses"):
        handlers.method(gives)


def test_what_has_no_name_is_given_one(handlers):
    with pytest.raises(ConfigError, match="has no name of its own"):
        handlers.add(functools.partial(gives))

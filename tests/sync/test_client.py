"""Blocking programs: the same names and meaning as the asynchronous client, from any thread, with nothing left over."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest

import tieline
from tieline import sync


@dataclass
class Served:
    """A server in a thread of its own, reached over a Unix socket."""

    address: str
    seen: list[str] = field(default_factory=list)
    publish: Callable[[int], None] = lambda _: None
    happened: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, word: str) -> None:
        limit = time.monotonic() + 10
        while word not in self.seen:
            assert time.monotonic() < limit, f"{word!r} did not happen, but {self.seen}"
            self.happened.wait(0.05)
            self.happened.clear()

    def saw(self, word: str) -> None:
        self.seen.append(word)
        self.happened.set()


def make_server(served: Served) -> tieline.Server:
    server = tieline.Server(data=":memory:")

    @server.method("greet")
    async def greet(name: str) -> str:
        return f"hello {name}"

    @server.method("count")
    async def count(to: int) -> AsyncIterator[int]:
        try:
            for number in range(to):
                yield number
        finally:
            served.saw("count over")

    @server.method("sum")
    async def total(numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    @server.method("wait")
    async def wait() -> None:
        served.saw("waiting")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            served.saw("cancelled")
            raise

    @server.method("ask")
    async def ask(peer: tieline.Peer) -> str:
        return f"you said {await peer.call('answer')}"

    topic = server.topic("ticks")
    served.publish = topic.publish  # type: ignore[assignment]
    return server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as running:
        yield running


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    served = Served(f"unix:{folder}/s")
    started: threading.Event = threading.Event()
    loop = asyncio.new_event_loop()
    leave = asyncio.Event()

    async def serve() -> None:
        server = make_server(served)
        publish = served.publish
        served.publish = lambda value: loop.call_soon_threadsafe(publish, value) and None
        async with server.serving(served.address):
            started.set()
            await leave.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(15)
        assert not thread.is_alive()


def test_a_call(served: Served) -> None:
    with sync.connect(served.address) as peer:
        assert peer.call("greet", name="Ada", timeout=5) == "hello Ada"
        assert peer.call("greet", name="Ada", returns=str).upper() == "HELLO ADA"
        assert peer.is_open
    assert not peer.is_open


def test_errors_are_those_of_the_asynchronous_client(served: Served) -> None:
    with sync.connect(served.address) as peer:
        with pytest.raises(tieline.InvalidArgument, match="name"):
            peer.call("greet", name=1)
        with pytest.raises(tieline.NotFound):
            peer.call("nothing.here")
        with pytest.raises(tieline.DeadlineExceeded):
            peer.call("wait", timeout=0.05)
    with pytest.raises(tieline.LinkClosed):
        peer.call("greet", name="Ada")
    with pytest.raises(tieline.DialFailed), sync.connect("unix:/nowhere/at/all"):
        pass
    with pytest.raises(tieline.AddressError), sync.connect("what://is.this"):
        pass


def test_a_stream_comes_whole_and_in_order(served: Served) -> None:
    with sync.connect(served.address) as peer:
        assert list(peer.stream("count", to=3)) == [0, 1, 2]
        assert list(peer.stream("count", to=20_000)) == list(range(20_000))
        assert list(peer.stream("count", to=0)) == []


def test_break_stops_the_handler(served: Served) -> None:
    with sync.connect(served.address) as peer:
        for number in peer.stream("count", to=10**9):
            if number == 10:
                break
        served.wait_for("count over")
        assert peer.call("greet", name="still there") == "hello still there"


def test_a_stream_can_be_closed_by_hand_and_from_another_thread(served: Served) -> None:
    with sync.connect(served.address) as peer:
        with peer.stream("count", to=10**9) as numbers:
            assert next(numbers) == 0
        assert list(numbers) == []
        events = peer.subscribe("ticks")
        events.open()
        timer = threading.Timer(0.1, events.close)
        timer.start()
        assert list(events) == []
        timer.join()


def test_a_plain_generator_is_sent_as_a_stream(served: Served) -> None:
    with sync.connect(served.address) as peer:
        assert peer.call("sum", numbers=(n for n in range(1000))) == sum(range(1000))


def test_events_arrive_and_a_position_goes_on_where_it_was_left(served: Served) -> None:
    with sync.connect(served.address) as peer:
        events = peer.subscribe("ticks", after=0)
        events.open()
        for value in range(100):
            served.publish(value)
        for event in events:
            if event.position == 40:
                break
        assert (event.topic, event.value) == ("ticks", 39)
        assert events.position == 40
        rest = peer.subscribe("ticks", after=events.position)
        assert [next(rest).value for _ in range(60)] == list(range(40, 100))


def test_many_threads_share_one_client(served: Served) -> None:
    with sync.connect(served.address) as peer, ThreadPoolExecutor(16) as pool:
        names = [f"n{number}" for number in range(500)]
        answers = pool.map(lambda name: peer.call("greet", name=name, timeout=20), names)
        assert list(answers) == [f"hello {name}" for name in names]


def test_many_threads_share_one_stream_and_each_item_goes_to_one(served: Served) -> None:
    with sync.connect(served.address) as peer, ThreadPoolExecutor(4) as pool:
        numbers = peer.stream("count", to=2000)
        parts = [pool.submit(list, numbers) for _ in range(4)]
        assert sorted(chain.from_iterable(part.result() for part in parts)) == list(range(2000))


def test_all_clients_share_one_thread(served: Served) -> None:
    with sync.connect(served.address), sync.connect(served.address):
        assert [thread.name for thread in threading.enumerate()].count("tieline.sync") == 1


def test_the_server_may_call_back(served: Served) -> None:
    handlers = tieline.Handlers()
    with sync.connect(served.address, handlers=handlers) as peer:

        @handlers.method("answer", thread=True)
        def answer() -> str:
            return str(peer.call("greet", name="from inside", timeout=5))

        assert peer.call("ask", timeout=10) == "you said hello from inside"


def test_a_handler_that_would_wait_for_itself_is_told_so(served: Served) -> None:
    handlers = tieline.Handlers()
    told: list[BaseException] = []
    with sync.connect(served.address, handlers=handlers) as peer:

        @handlers.method("answer")
        def answer() -> str:
            try:
                peer.call("greet", name="from inside")
            except RuntimeError as error:
                told.append(error)
            return "no"

        assert peer.call("ask", timeout=10) == "you said no"
    assert "thread=True" in str(told[0])


def test_ctrl_c_while_waiting_cancels_the_call(served: Served) -> None:
    with sync.connect(served.address) as peer:

        def interrupt() -> None:
            served.wait_for("waiting")
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            peer.call("wait")
        thread.join()
        served.wait_for("cancelled")
        assert peer.call("greet", name="Ada") == "hello Ada"


def run_program(served: Served, code: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, in development mode: anything left open is a warning there."""
    program = f"import os, sys, tieline, tieline.sync\nADDRESS = {served.address!r}\n{textwrap.dedent(code)}"
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "default", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_program_leaves_nothing_open(served: Served) -> None:
    done = run_program(
        served,
        """
        with tieline.sync.connect(ADDRESS) as peer:
            print(peer.call("greet", name="Ada"))
            for n in peer.stream("count", to=1000000):
                if n == 5:
                    break
        """,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("hello Ada\n", "", 0)


def test_a_program_that_ends_in_the_middle_says_goodbye(served: Served) -> None:
    done = run_program(
        served,
        """
        context = tieline.sync.connect(ADDRESS)
        peer = context.__enter__()
        events = peer.subscribe("ticks")
        events.open()
        print(peer.call("greet", name="Ada"))
        """,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("hello Ada\n", "", 0)


def test_a_forked_child_is_told_to_connect_again(served: Served) -> None:
    done = run_program(
        served,
        """
        with tieline.sync.connect(ADDRESS) as peer:
            child = os.fork()
            if child == 0:
                try:
                    peer.call("greet", name="child")
                except tieline.LinkClosed as error:
                    assert "fork" in str(error)
                with tieline.sync.connect(ADDRESS) as own:
                    assert own.call("greet", name="child") == "hello child"
                sys.exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            print(peer.call("greet", name="parent"))
        """,
    )
    assert (done.stdout, done.returncode) == ("hello parent\n", 0), done.stderr


@pytest.mark.parametrize("name", ["call", "stream", "subscribe"])
def test_the_parameters_are_those_of_the_asynchronous_client(name: str) -> None:
    ours = inspect.signature(getattr(sync.Client, name)).parameters
    theirs = inspect.signature(getattr(tieline.Client, name)).parameters
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_so_are_those_of_connect() -> None:
    assert inspect.signature(sync.connect).parameters == inspect.signature(tieline.connect).parameters


def test_what_a_blocking_program_serves_is_called_through_the_server(served: Served) -> None:
    handlers = tieline.Handlers()

    @handlers.method("double", thread=True)
    def double(number: int, peer: tieline.Peer) -> str:
        return f"{2 * number} for {peer.identity}"

    @handlers.method("forever")
    async def forever(source: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in source:
            yield -number

    with sync.connect(served.address) as machine, sync.connect(served.address) as caller:
        assert machine.serve(handlers) == "local"
        assert caller.call("local/double", number=21) == f"42 for {caller.identity}"
        assert list(caller.stream("local/forever", source=iter(range(100)))) == [-n for n in range(100)]
        machine.withdraw()
        with pytest.raises(tieline.NotFound):
            caller.call("local/double", number=1)

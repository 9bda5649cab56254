"""A value that comes later: who waits for it is told once, whatever comes first."""

import asyncio
from typing import Any

import pytest

from tieline.promise import Promise, settle, tell_all


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[int, str, Any]] = []
        self.after: list[int] = []
        "How much had been heard each time when that was all."

    def told(self, number: int, name: str, outcome: Any) -> None:
        self.heard.append((number, name, outcome))

    def told_all(self) -> None:
        self.after.append(len(self.heard))


def keep(promise: Promise[Any], outcome: Any) -> None:
    promise.outcome = outcome
    promise.tell()


def test_who_listens_is_told_at_once_and_with_his_own_number() -> None:
    promise, ear = Promise[int](), Ear()
    promise.listen(ear, 7, "post")
    assert ear.heard == []
    keep(promise, 42)
    assert ear.heard == [(7, "post", 42)]


def test_who_comes_late_is_told_as_well() -> None:
    promise, ear = Promise[int](), Ear()
    keep(promise, 42)
    promise.listen(ear, 7, "post")
    assert ear.heard == [(7, "post", 42)]


def test_who_cancels_hears_that_and_nothing_later() -> None:
    promise, ear = Promise[int](), Ear()
    promise.listen(ear, 7, "post")
    promise.cancel()
    promise.cancel()
    keep(promise, 42)
    assert [type(outcome) for _, _, outcome in ear.heard] == [asyncio.CancelledError]
    assert promise.outcome == 42


def test_two_cannot_wait_for_one_promise() -> None:
    promise, ear = Promise[int](), Ear()
    promise.listen(ear, 7, "post")
    with pytest.raises(RuntimeError, match="two wait"):
        promise.listen(Ear(), 8, "post")
    keep(promise, 42)
    assert len(ear.heard) == 1


def test_it_refers_to_nobody_once_it_is_told() -> None:
    # It is not seen by the garbage collector: a circle through it would stay for ever.
    promise = Promise[int]()
    promise.listen(Ear(), 7, "post")
    keep(promise, 42)
    assert promise._listener is None
    cancelled = Promise[int]()
    cancelled.listen(Ear(), 7, "post")
    cancelled.cancel()
    assert cancelled._listener is None


async def test_it_can_be_awaited_before_and_after() -> None:
    promise = Promise[int]()
    waiting = asyncio.ensure_future(promise)
    await asyncio.sleep(0)
    keep(promise, 42)
    assert (await waiting, await promise) == (42, 42)


async def test_an_exception_is_raised_where_it_is_awaited() -> None:
    promise = Promise[int]()
    keep(promise, KeyError("no"))
    with pytest.raises(KeyError):
        await promise


async def test_a_wait_that_was_cancelled_does_not_mind_the_outcome() -> None:
    promise = Promise[int]()
    waiting = asyncio.ensure_future(promise)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    keep(promise, 42)
    assert waiting.cancelled()
    await asyncio.wait_for(promise.over(), 1)


async def test_over_is_done_with_the_outcome_even_of_one_nobody_wants_any_more() -> None:
    promise, ear = Promise[int](), Ear()
    promise.listen(ear, 7, "post")
    over = promise.over()
    promise.cancel()
    assert not over.done()
    keep(promise, 42)
    assert over.done()
    assert promise.over() is over


def test_of_many_each_listener_hears_all_of_his_and_then_that_it_is_all() -> None:
    ears = [Ear(), Ear()]
    promises = [Promise[int](outcome=number) for number in range(6)]
    for number, promise in enumerate(promises[:5]):
        promise.listen(ears[number % 2], number, "post")
    tell_all(promises)
    assert [[number for number, _, _ in ear.heard] for ear in ears] == [[0, 2, 4], [1, 3]]
    assert [ear.after for ear in ears] == [[3], [2]]
    assert all(promise.is_told for promise in promises)


def test_a_listener_that_fails_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Ear):
        def told_all(self) -> None:
            raise ZeroDivisionError

    ears = [Failing(), Ear()]
    promises = [Promise[int](outcome=number) for number in range(2)]
    for number, promise in enumerate(promises):
        promise.listen(ears[number], number, "post")
    tell_all(promises)
    assert ears[1].heard == [(1, "post", 1)]
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_settled_twice_keeps_what_was_said_first() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    settle(future)
    settle(future, OSError("too late"))
    assert await future is None
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    settle(failed, OSError("the disk"))
    settle(failed)
    with pytest.raises(OSError, match="the disk"):
        await failed
    unwanted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    unwanted.cancel()
    settle(unwanted)

"""The background thread of blocking programs: what is interrupted is cancelled, whenever the interrupt comes."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from tieline.sync import loop_thread


def test_an_interrupt_between_handing_over_and_waiting_cancels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    thread = loop_thread.shared()
    hand_over = thread.submit

    def interrupted(coroutine: Any, future: Future[Any] | None = None) -> Future[Any]:
        hand_over(coroutine, future)
        assert started.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr(thread, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        thread.run(work())
    assert cancelled.wait(5)


def test_what_was_cancelled_before_it_began_never_runs() -> None:
    thread = loop_thread.shared()
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(5)

    async def work() -> None:
        raise AssertionError("it ran")

    thread.soon(hold)
    assert held.wait(5)
    future = thread.submit(work())
    assert future.cancel()
    go_on.set()
    assert thread.run(asyncio.sleep(0, "still well")) == "still well"

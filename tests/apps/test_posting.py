"""Many lines on their way at once: in order, each once, and the truth about what was stored."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tieline.apps.cli.posting import IN_FLIGHT, in_order
from tieline.errors import LinkClosed


class SlowServer:
    """Answers a post when told; only the one method that posting uses."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.texts: list[str] = []
        self.ids: set[str] = set()
        self.answers = asyncio.Event()
        self.cancelled = 0
        self._fails_at = fails_at

    async def call(self, method: str, *, text: str, id: str, **others: Any) -> dict[str, Any]:
        assert method == "chat.post"
        assert others["retry"]
        self.texts.append(text)
        self.ids.add(id)
        number = len(self.texts)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if number == self._fails_at:
            raise LinkClosed("cut")
        return {"position": number, "at": 0}


async def lines(count: int) -> AsyncIterator[str]:
    for number in range(count):
        yield f"line {number}"


async def test_lines_go_out_together_and_answers_come_in_order() -> None:
    server = SlowServer()
    results = in_order(server, "lobby", lines(50), 5.0)  # type: ignore[arg-type]
    first = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0.01)
    assert server.texts == [f"line {number}" for number in range(50)]
    server.answers.set()
    stored = [await first] + [result async for result in results]
    assert [each["position"] for each in stored] == list(range(1, 51))
    assert {each["id"] for each in stored} == server.ids
    assert len(server.ids) == 50


async def test_no_more_are_on_their_way_than_the_window_holds() -> None:
    server = SlowServer()
    results = in_order(server, "lobby", lines(IN_FLIGHT * 3), 5.0)  # type: ignore[arg-type]
    first = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0.05)
    assert len(server.texts) == IN_FLIGHT
    server.answers.set()
    await first
    assert len([result async for result in results]) == IN_FLIGHT * 3 - 1


async def test_the_first_that_fails_ends_it_and_says_how_many_are_stored(capsys: pytest.CaptureFixture[str]) -> None:
    server = SlowServer(fails_at=3)
    server.answers.set()
    results = in_order(server, "lobby", lines(10), 5.0)  # type: ignore[arg-type]
    assert [(await anext(results))["position"] for _ in range(2)] == [1, 2]
    with pytest.raises(LinkClosed, match="cut"):
        await anext(results)
    assert "2 lines are stored" in capsys.readouterr().err


async def test_ctrl_c_leaves_nothing_running() -> None:
    server = SlowServer()
    results = in_order(server, "lobby", lines(5), 5.0)  # type: ignore[arg-type]
    first = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await results.aclose()  # type: ignore[attr-defined]
    assert server.cancelled == 5
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_input_that_breaks_is_an_error_and_not_an_end() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "one"
        raise OSError("Input/output error")

    server = SlowServer()
    server.answers.set()
    with pytest.raises(OSError, match="Input/output"):
        async for _ in in_order(server, "lobby", broken(), 5.0):  # type: ignore[arg-type]
            pass

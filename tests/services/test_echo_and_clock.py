"""The two small services."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tieline.rpc.handlers import Handlers
from tieline.services import clock

from .conftest import House


async def test_upper_is_what_everybody_writes_first(house: House) -> None:
    assert await house.login("ada").call("echo.upper", text="hello, straße") == "HELLO, STRASSE"


@pytest.mark.parametrize("value", [None, 1, -1.5, "", b"\x00\xff", [1, [2]], {"a": {"b": None}}, True])
async def test_say_gives_anything_back(house: House, value: object) -> None:
    assert await house.login("ada").call("echo.say", value=value) == value


async def test_count_is_a_stream(house: House) -> None:
    ada = house.login("ada")
    assert [n async for n in ada.stream("echo.count", to=5)] == [1, 2, 3, 4, 5]
    assert [n async for n in ada.stream("echo.count", to=0)] == []


async def test_now_is_the_same_moment_twice(house: House) -> None:
    now = await house.login("ada").call("clock.now")
    assert now["unix"] == house.now
    assert datetime.fromisoformat(now["iso"]) == datetime.fromtimestamp(house.now, UTC)


@pytest.mark.parametrize(("hours", "expected"), [(0, "2026-11-20 10:15:00"), (2, "2026-11-20 12:15:00")])
def test_a_stamp_is_in_the_servers_own_zone(hours: int, expected: str) -> None:
    handlers = Handlers()
    moment = datetime(2026, 11, 20, 10, 15, tzinfo=UTC).timestamp()
    clock.install(handlers, lambda: moment, timezone(timedelta(hours=hours)))
    assert handlers.find("clock.stamp").function("text") == f"[{expected}]:text"

"""Which room was meant: what `tieline say` finds out before it asks."""

from typing import Any, cast

import pytest

import tieline
from tieline.apps.cli.say import _nearly


class House:
    """A server with these rooms, of which only the first fits a page of the list."""

    def __init__(self, *rooms: str) -> None:
        self.rooms = rooms

    async def call(self, method: str, *, timeout: float, room: str = "", limit: int = 0) -> dict[str, Any]:
        if method == "chat.history":
            return {"messages": [{"text": "hi"}] if room in self.rooms else [], "end": True}
        return {"rooms": [{"name": name} for name in self.rooms[:1]], "end": False}


@pytest.mark.parametrize(
    ("room", "meant"),
    [("lab-1", None), ("lab-2", None), ("lab-3", "lab-1"), ("loby", "lobby"), ("attic", None), ("@ada", None)],
)
async def test_a_room_is_asked_about_when_it_is_not_there_and_another_is_nearly_so_named(
    room: str, meant: str | None
) -> None:
    assert await _nearly(cast(tieline.Client, House("lab-1", "lab-2")), room, 5.0) == meant

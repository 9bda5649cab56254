"""`tieline rooms`: which rooms there are, and what is unread in them."""

from typing import Any

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import clock, print_json, print_table
from .session import run, session


@click.command(epilog=examples("tieline rooms", "tieline rooms --json | jq -r '.[] | select(.unread > 0) | .name'"))
@server_options
@json_option
def rooms(where: Where, as_json: bool) -> None:
    """List the rooms, with unread counts."""
    found = run(_rooms(where))
    if as_json:
        print_json(found, pretty=True)
        return
    print_table(
        (
            (
                room["name"],
                room["unread"],
                room["position"],
                clock(room["at"]) if room.get("at") else "",
                room.get("topic_line", ""),
            )
            for room in found
        ),
        ("ROOM", "UNREAD", "MESSAGES", "LAST", "TOPIC"),
        right=("UNREAD", "MESSAGES"),
    )


async def _rooms(where: Where) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with session(where) as client:
        while True:
            after = found[-1]["name"] if found else ""
            page = await client.call("chat.rooms", timeout=where.timeout, after=after)
            found += page["rooms"]
            if page["end"] or not page["rooms"]:
                return found

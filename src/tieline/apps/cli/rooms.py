"""`tieline rooms`: which rooms there are, and what is unread in them."""

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import clock, print_json, print_table
from .session import ask, run


@click.command(epilog=examples("tieline rooms", "tieline rooms --json | jq -r '.[] | select(.unread > 0) | .name'"))
@server_options
@json_option
def rooms(where: Where, as_json: bool) -> None:
    """List the rooms, with unread counts."""
    answer = run(ask(where, "chat.rooms"))
    found = answer["rooms"] if isinstance(answer, dict) else answer
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

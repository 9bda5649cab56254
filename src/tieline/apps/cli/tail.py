"""`tieline tail`: a room's history, then what comes."""

import sys
from typing import Any

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .completing import rooms
from .history import latest
from .options import Where, json_option, server_options
from .output import columns, message_lines, note, print_json
from .reader_gone import while_read
from .session import run, session


@click.command(
    epilog=examples(
        "tieline tail lobby                 the last 20 messages",
        "tieline tail lobby -n 0 -f         only what comes from now on",
        "tieline tail @ada --json | jq .text",
    )
)
@click.argument("room", shell_complete=rooms)
@click.option(
    "-n", "--last", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="Messages to show."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes; a lost connection is made anew, no gap.")
@server_options
@json_option
def tail(where: Where, room: str, last: int, follow: bool, as_json: bool) -> None:
    """Show a room's last messages, and what comes.

    With -f it goes on with what comes, over lost connections too, until Ctrl-C. What was shown counts as read.
    """
    run(_tail(where, room, last, follow, as_json))


async def _tail(where: Where, room: str, last: int, follow: bool, as_json: bool) -> None:
    from .read_marker import ReadMarker

    async with session(where) as client:
        client.on_link = note
        marker = ReadMarker(client, room)
        try:
            messages = await latest(client, room, last, where.timeout)
            for message in messages:
                show(message, as_json)
            sys.stdout.flush()
            if messages:
                marker.saw(messages[-1]["position"])
            if not messages and last:
                note(f"Nothing was said in {safe_text(room)} yet; `tieline rooms` lists the rooms.")
            if not follow:
                return
            after = messages[-1]["position"] if messages else 0 if last else None
            subscription = client.subscribe(f"room/{room}", after=after)
            await subscription.open()
            with while_read():
                async for event in subscription:
                    show(event.value, as_json)
                    sys.stdout.flush()
                    marker.saw(event.position)
        finally:
            await marker.close()


def show(message: dict[str, Any], as_json: bool) -> None:
    """One message on stdout."""
    if as_json:
        print_json(message)
        return
    for line in message_lines(message["at"], message["by"], message["text"], columns=columns()):
        click.echo(line)

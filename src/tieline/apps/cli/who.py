"""`tieline who`: who is here."""

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .options import Where, json_option, server_options
from .output import note, print_json
from .session import ask, run


@click.command(epilog=examples("tieline who", "tieline who builds --json"))
@click.argument("room", default="lobby")
@server_options
@json_option
def who(where: Where, room: str, as_json: bool) -> None:
    """List who is in a room.

    ROOM is the lobby when none is named.
    """
    answer = run(ask(where, "chat.who", room=room))
    if as_json:
        print_json(answer, pretty=True)
        return
    for name in answer["here"]:
        click.echo(safe_text(name))
    unnamed = answer["count"] - len(answer["here"])
    if unnamed or not answer["here"]:
        note(f"and {unnamed} more" if unnamed else f"Nobody is in {room}.")

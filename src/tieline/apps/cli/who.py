"""`tieline who`: who is here."""

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .completing import rooms
from .options import Where, json_option, server_options
from .output import note, print_json
from .session import ask, run


@click.command(epilog=examples("tieline who", "tieline who lobby", "tieline who builds --json"))
@click.argument("room", required=False, shell_complete=rooms)
@server_options
@json_option
def who(where: Where, room: str | None, as_json: bool) -> None:
    """List who is here: at the server, or in ROOM."""
    answer = run(ask(where, "server.who") if room is None else ask(where, "chat.who", room=room))
    if as_json:
        print_json(answer, pretty=True)
        return
    names = answer["accounts"] if room is None else answer["here"]
    for name in names:
        click.echo(safe_text(name))
    if room is not None:
        unnamed = answer["count"] - len(names)
        if unnamed or not names:
            note(f"and {unnamed} more" if unnamed else f"Nobody is in {room}.")

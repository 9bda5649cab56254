"""`tieline chat`: talk at a terminal."""

import click

from .commands import examples
from .completing import rooms
from .options import DEFAULT_ROOM, Where, server_options
from .session import run, session


@click.command(epilog=examples("tieline chat", "tieline chat builds", "tieline chat @ada", "echo hello | tieline chat"))
@click.argument("room", default=DEFAULT_ROOM, shell_complete=rooms)
@server_options
def chat(where: Where, room: str) -> None:
    """Talk in a room.

    ROOM is the lobby when none is named. /help lists what can be typed; Ctrl-D leaves.
    """
    run(_chat(where, room))


async def _chat(where: Where, room: str) -> None:
    from .conversation import Conversation
    from .screen import open_screen

    async with session(where) as client:
        with open_screen() as screen:
            await Conversation(client, screen, where.timeout).run(room)

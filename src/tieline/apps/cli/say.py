"""`tieline say`: post to a room; done only when the server has it on disk."""

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .completing import rooms
from .options import DEFAULT_ROOM, Where, json_option, server_options
from .output import note, print_json
from .session import run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(
    epilog=examples(
        "tieline say lobby the build is green",
        "tieline say @ada 'only you can read this'",
        "make 2>&1 | tieline say builds",
    )
)
@click.argument("room", shell_complete=rooms)
@click.argument("text", nargs=-1)
@server_options
@json_option
def say(where: Where, room: str, text: tuple[str, ...], as_json: bool) -> None:
    """Post a message, or each line of input.

    Without TEXT each line of standard input is a message; empty ones are skipped. A ROOM of the form @name is a
    direct message. A room is made by the first message in it; at a terminal you are asked before, if there is one of
    nearly that name. Exits 0 only when all of it is stored.
    """
    if meant := run(_say(where, room, text, as_json, sure=not _somebody_types())):
        if not click.confirm(f"There is no room {room} yet, but {safe_text(meant)}. Make {room}?", err=True):
            raise click.ClickException("nothing was said")
        run(_say(where, room, text, as_json, sure=True))


def _somebody_types() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def _one(text: str) -> AsyncIterator[str]:
    # Bytes of an argument that are no UTF-8 came as lone surrogates, which cannot travel.
    yield text.encode(errors="surrogateescape").decode(errors="backslashreplace")


async def _input() -> AsyncIterator[str]:
    from .stdin import stdin_lines

    if sys.stdin.isatty():
        note("Each line is a message; Ctrl-D ends.")
    async for line in stdin_lines():
        if line.strip():
            yield line


async def _say(where: Where, room: str, text: tuple[str, ...], as_json: bool, *, sure: bool) -> str | None:
    """Post it all; or, when that is not `sure`, say which room of nearly that name there is instead of this one."""
    from .posting import in_order

    async with session(where) as client:
        if not sure and (meant := await _nearly(client, room, where.timeout)):
            return meant
        lines = _one(" ".join(text)) if text else _input()
        async for stored in in_order(client, room, lines, where.timeout):
            if as_json:
                print_json(stored)
            if stored["position"] == 1 and room != DEFAULT_ROOM and not room.startswith("@"):
                note(f"{safe_text(room)} is a new room; `tieline rooms` lists them.")
    return None


async def _nearly(client: "Client", room: str, timeout: float) -> str | None:
    if room == DEFAULT_ROOM or room.startswith("@") or room != room.lower():  # those are not made, or refused
        return None
    if (await client.call("chat.history", timeout=timeout, room=room, limit=1))["messages"]:
        return None  # it is there, which one page of the rooms need not show
    from difflib import get_close_matches

    names = [each["name"] for each in (await client.call("chat.rooms", timeout=timeout))["rooms"]]
    names = [DEFAULT_ROOM, *(name for name in names if not name.startswith("@"))]
    return next(iter(get_close_matches(room, names, 1, 0.75)), None) if room not in names else None

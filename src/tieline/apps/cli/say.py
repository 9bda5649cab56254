"""`tieline say`: post to a room; done only when the server has it on disk."""

import sys
from collections.abc import AsyncIterator

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .options import DEFAULT_ROOM, Where, json_option, server_options
from .output import note, print_json
from .session import run, session


@click.command(
    epilog=examples(
        "tieline say lobby the build is green",
        "tieline say @ada 'only you can read this'",
        "make 2>&1 | tieline say builds",
    )
)
@click.argument("room")
@click.argument("text", nargs=-1)
@server_options
@json_option
def say(where: Where, room: str, text: tuple[str, ...], as_json: bool) -> None:
    """Post a message, or each line of input.

    Without TEXT each line of standard input is a message; empty ones are skipped. A ROOM of the form @name is a
    direct message. Exits 0 only when all of it is stored.
    """
    lines = _one(" ".join(text)) if text else _input()
    run(_say(where, room, lines, as_json))


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


async def _say(where: Where, room: str, lines: AsyncIterator[str], as_json: bool) -> None:
    from .posting import in_order

    async with session(where) as client:
        async for stored in in_order(client, room, lines, where.timeout):
            if as_json:
                print_json(stored)
            if stored["position"] == 1 and room != DEFAULT_ROOM and not room.startswith("@"):
                note(f"{safe_text(room)} is a new room; `tieline rooms` lists them.")

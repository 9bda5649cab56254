"""`tieline ls`: what is in a folder of the server."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .options import Where, files_options
from .output import clock, note, print_json, size
from .session import run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(epilog=examples("tieline ls", "tieline ls -l /lab", "tieline ls --json /rooms/builds | jq -r .name"))
@click.argument("path", default="/")
@click.option("-l", "long", is_flag=True, help="Also show size, time, who put it, and the digest.")
@files_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs to read.")
def ls(where: Where, path: str, long: bool, as_json: bool) -> None:
    """List a folder of the server.

    / holds what is shared by all, /rooms/ROOM what is of a room, and /people/NAME what is NAME's own.
    """
    run(_ls(where, path, long, as_json))


async def _ls(where: Where, path: str, long: bool, as_json: bool) -> None:
    unnamed = 0
    async with session(where) as client:
        async for page in pages(client, where, path):
            unnamed += page["unnamed"]
            for entry in page["entries"]:
                if as_json:
                    print_json({"path": joined(page["path"], entry["name"]), **entry})
                else:
                    click.echo(_long(entry) if long else shown(entry))
    if unnamed:
        note(f"{unnamed} more were put there by hand under names that cannot be used here; rename them on the server.")


async def pages(client: "Client", where: Where, path: str) -> AsyncIterator[dict[str, Any]]:
    """A folder's listing, page by page."""
    after = ""
    while True:
        page = await client.call(where.method("files.list"), timeout=where.timeout, retry=True, path=path, after=after)
        yield page
        if page["next"] is None:
            return
        after = page["next"]


def joined(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def shown(entry: dict[str, Any]) -> str:
    """The name, with the sign that `ls -F` puts behind it."""
    return safe_text(entry["name"]) + {"folder": "/", "link": "@", "other": "="}.get(entry["kind"], "")


def _long(entry: dict[str, Any]) -> str:
    arrow = f" -> {safe_text(entry.get('target') or '(out of the tree)')}" if entry["kind"] == "link" else ""
    return "  ".join(
        (
            {"folder": "d", "link": "l", "other": "?"}.get(entry["kind"], "-") + _mode(entry["mode"]),
            f"{size(entry['size']) if entry['kind'] == 'file' else '-':>8}",
            clock(entry["modified"]),
            f"{safe_text(entry.get('by') or '-'):<12}",
            f"{entry.get('digest', '')[:12] or '-':<12}",
            shown(entry) + arrow,
        )
    )


def _mode(mode: int) -> str:
    letters = "rwxrwxrwx"
    return "".join(letter if mode & (1 << (8 - index)) else "-" for index, letter in enumerate(letters))

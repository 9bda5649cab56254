"""`tieline ls`: what is in a folder of the server."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .completing import remote_paths
from .options import Where, files_options
from .output import clock, note, print_json, size
from .remote_path import is_pattern, remote
from .session import files_of, run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(
    epilog=examples(
        "tieline ls",
        "tieline ls -l /lab",
        "tieline ls '/lab/*.csv'",
        "tieline ls --json /rooms/builds | jq -r .name",
    )
)
@click.argument("path", default="/", shell_complete=remote_paths)
@click.option("-l", "long", is_flag=True, help="Also show size, time, who put it, and the digest.")
@files_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs to read.")
def ls(where: Where, path: str, long: bool, as_json: bool) -> None:
    """List a folder of the server.

    / holds what is shared by all, /rooms/ROOM what is of a room, and /people/NAME what is NAME's own. A PATH may be a
    pattern, in quotes: then what it stands for is listed, by its whole path.
    """
    run(_ls(where, remote(path), long, as_json))


async def _ls(where: Where, path: str, long: bool, as_json: bool) -> None:
    unnamed = 0
    async with session(where) as client:
        if is_pattern(path):
            async for found, entry in _matching(client, where, path):
                _show({"path": found, **entry}, found, long, as_json)
            return
        async for page in pages(client, where, path):
            unnamed += page["unnamed"]
            for entry in page["entries"]:
                _show({"path": joined(page["path"], entry["name"]), **entry}, entry["name"], long, as_json)
    if unnamed:
        note(f"{unnamed} more were put there by hand under names that cannot be used here; rename them on the server.")


async def _matching(client: "Client", where: Where, pattern: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What a pattern stands for, with its whole path."""
    wanted = set(await files_of(client, where).matching([pattern]))
    for folder in sorted({path.rpartition("/")[0] or "/" for path in wanted}):
        async for page in pages(client, where, folder):
            for entry in page["entries"]:
                if (path := joined(folder, entry["name"])) in wanted:
                    yield path, entry


def _show(entry: dict[str, Any], name: str, long: bool, as_json: bool) -> None:
    if as_json:
        print_json(entry)
        return
    named = {**entry, "name": name}
    click.echo(_long(named) if long else shown(named))


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

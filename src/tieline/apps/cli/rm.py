"""`tieline rm`: files of the server go away."""

import sys

import click

from tieline.errors import NotFound
from tieline.wire.safe_text import safe_text

from .commands import examples
from .completing import remote_paths
from .options import Where, files_options, json_option
from .output import note, print_json, size
from .remote_path import is_pattern, remote
from .session import ask, files_of, run, session
from .several import each_path

SHOWN = 20
"Paths a pattern stands for that are named before one is asked; the rest is counted."


@click.command(
    epilog=examples(
        "tieline rm /lab/old.bin",
        "tieline rm -r /lab/run-17",
        "tieline rm /lab/a /lab/b",
        "tieline rm '/lab/*.tmp'          shows which, and asks",
        "tieline rm --interrupted",
    )
)
@click.argument("paths", nargs=-1, shell_complete=remote_paths, metavar="PATH…")
@click.option("-r", "whole", is_flag=True, help="Remove folders with all that is in them.")
@click.option("-f", "force", is_flag=True, help="Ask nothing; a path where nothing is, is fine.")
@click.option("--interrupted", is_flag=True, help="Instead of a PATH: what is kept of your interrupted uploads.")
@files_options
@json_option
def rm(where: Where, paths: tuple[str, ...], whole: bool, force: bool, interrupted: bool, as_json: bool) -> None:
    """Remove files and links of the server, and folders with -r.

    Links are removed, never what they lead to. A folder is gone at once, with all in it. A PATH may be a pattern, in
    quotes: what it stands for is shown, and removed when you say so, or with -f.
    """
    if interrupted and where.machine:
        raise click.UsageError("--interrupted is about uploads to the server")
    if bool(paths) is interrupted:
        raise click.UsageError("say which PATH to remove, or --interrupted and none")
    if interrupted:
        gone = run(ask(where, "files.abandon"))
        if as_json:
            print_json(gone)
        note(f"removed {size(gone['bytes'])} of {gone['files']} interrupted upload{'s' * (gone['files'] != 1)}")
        return
    paths = tuple(map(remote, paths))
    if any(map(is_pattern, paths)):
        paths = run(_meant(where, paths, force))
        if not force:
            _confirm(paths)
    removed = run(_rm(where, paths, whole, force))
    if as_json:
        print_json(removed)


async def _meant(where: Where, paths: tuple[str, ...], force: bool) -> tuple[str, ...]:
    """The paths, and in place of patterns what there is."""
    found: dict[str, None] = {}
    async with session(where) as client:
        for path in paths:
            try:
                found |= dict.fromkeys(await files_of(client, where).matching([path]))
            except NotFound:
                if not force:
                    raise
    return tuple(found)


def _confirm(paths: tuple[str, ...]) -> None:
    """Show what a pattern stands for, and go on only if somebody says so."""
    for path in paths[:SHOWN]:
        note(safe_text(path))
    if len(paths) > SHOWN:
        note(f"and {len(paths) - SHOWN:,} more")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("nothing was removed: nobody is here to be asked; -f removes these without asking")
    if not click.confirm(f"Remove {'this' if len(paths) == 1 else f'these {len(paths):,}'}?", err=True):
        raise click.ClickException("nothing was removed")


async def _rm(where: Where, paths: tuple[str, ...], whole: bool, force: bool) -> list[dict[str, str]]:
    async with session(where) as client:

        async def remove(path: str) -> dict[str, str]:
            kind = await client.call(where.method("files.remove"), timeout=where.timeout, path=path, whole=whole)
            return {"path": path, "kind": kind}

        return await each_path(paths, remove, absent_is_fine=force)

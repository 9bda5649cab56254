"""`tieline rm`: files of the server go away."""

import click

from .commands import examples
from .options import Where, files_options, json_option
from .output import note, print_json, size
from .session import ask, run, session
from .several import each_path


@click.command(
    epilog=examples(
        "tieline rm /lab/old.bin", "tieline rm -r /lab/run-17", "tieline rm /lab/a /lab/b", "tieline rm --interrupted"
    )
)
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("-r", "whole", is_flag=True, help="Remove folders with all that is in them.")
@click.option("-f", "force", is_flag=True, help="A path where nothing is, is fine.")
@click.option("--interrupted", is_flag=True, help="Instead of a PATH: what is kept of your interrupted uploads.")
@files_options
@json_option
def rm(where: Where, paths: tuple[str, ...], whole: bool, force: bool, interrupted: bool, as_json: bool) -> None:
    """Remove files and links of the server, and folders with -r.

    Links are removed, never what they lead to. A folder is gone at once, with all in it.
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
    removed = run(_rm(where, paths, whole, force))
    if as_json:
        print_json(removed)


async def _rm(where: Where, paths: tuple[str, ...], whole: bool, force: bool) -> list[dict[str, str]]:
    async with session(where) as client:

        async def remove(path: str) -> dict[str, str]:
            kind = await client.call(where.method("files.remove"), timeout=where.timeout, path=path, whole=whole)
            return {"path": path, "kind": kind}

        return await each_path(paths, remove, absent_is_fine=force)

"""`tieline mv`: files of the server get another name or place."""

import click

from .commands import examples
from .completing import remote_paths
from .options import Where, files_options, json_option
from .output import print_json
from .remote_path import remote
from .session import files_of, run, session
from .several import each_path


@click.command(
    epilog=examples(
        "tieline mv /lab/draft.txt /lab/final.txt",
        "tieline mv /people/ada/run.log /lab/x.bin /rooms/builds/",
        "tieline mv '/lab/*.csv' /lab/2026/",
    )
)
@click.argument("paths", nargs=-1, required=True, shell_complete=remote_paths, metavar="PATH… TARGET")
@click.option("-f", "replace", is_flag=True, help="Replace a file that is there; a folder is never replaced.")
@files_options
@json_option
def mv(where: Where, paths: tuple[str, ...], replace: bool, as_json: bool) -> None:
    """Rename a file or folder of the server, or move several into the folder TARGET.

    Without -f nothing that is there is replaced. A PATH may be a pattern, in quotes.
    """
    if len(paths) < 2:
        raise click.UsageError("say what to move, and where to")
    *sources, target = map(remote, paths)
    moved = run(_mv(where, sources, target, replace))
    if as_json:
        print_json(moved)


async def _mv(where: Where, paths: list[str], target: str, replace: bool) -> list[dict[str, str]]:
    async with session(where) as client:
        sources = await files_of(client, where).matching(paths)
        into = target if len(sources) == 1 else f"{target.rstrip('/')}/"

        async def move(path: str) -> dict[str, str]:
            new = await client.call(
                where.method("files.move"), timeout=where.timeout, source=path, target=into, replace=replace
            )
            return {"path": path, "to": new}

        return await each_path(sources, move)

"""`tieline mkdir`: new folders on the server."""

import click

from .commands import examples
from .completing import remote_paths
from .options import Where, files_options
from .session import run, session
from .several import each_path


@click.command(epilog=examples("tieline mkdir /lab", "tieline mkdir -p /lab/2026/november"))
@click.argument("paths", nargs=-1, required=True, shell_complete=remote_paths, metavar="PATH…")
@click.option("-p", "parents", is_flag=True, help="Make what lacks on the way too; it may be there already.")
@files_options
def mkdir(where: Where, paths: tuple[str, ...], parents: bool) -> None:
    """Make folders on the server."""
    run(_mkdir(where, paths, parents))


async def _mkdir(where: Where, paths: tuple[str, ...], parents: bool) -> None:
    async with session(where) as client:

        async def make(path: str) -> None:
            await client.call(where.method("files.make"), timeout=where.timeout, path=path, parents=parents)

        await each_path(paths, make)

"""`tieline get`: files and folders from the server."""

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from .commands import examples
from .completing import remote_then_local
from .moving import finish, say_stopped, showing
from .options import Where, files_options
from .remote_path import remote
from .session import files_of, run, session

if TYPE_CHECKING:
    from tieline.files import Transferred


@click.command(
    epilog=examples(
        "tieline get /lab/report.pdf",
        "tieline get '/lab/*.csv' data/",
        "tieline get /lab/run-17 ~/results",
        "tieline get /backups/today.tar - | tar t",
        "tieline get --wait /lab/still-coming.iso",
    )
)
@click.argument("paths", nargs=-1, required=True, shell_complete=remote_then_local, metavar="PATH… [DEST]")
@click.option("--keep", is_flag=True, help="Replace no file that is here.")
@click.option("--wait", "follow", is_flag=True, help="Follow files that are still on their way to the server.")
@files_options
@click.option("--json", "as_json", is_flag=True, help="Print progress and result as JSON objects, one per line.")
def get(where: Where, paths: tuple[str, ...], keep: bool, follow: bool, as_json: bool) -> int:
    """Fetch files and folders from the server.

    With several arguments the last is where they go: into a folder when it is one, or ends with a slash; - is standard
    output. A PATH may be a pattern, in quotes. Each file is whole and verified before it has its name here. Run again,
    it goes on where it was interrupted and fetches only what is not here yet.
    """
    wanted, dest = ([*paths[:-1]], paths[-1]) if len(paths) > 1 else ([*paths], "./")
    wanted = [*map(remote, wanted)]
    try:
        if dest == "-":
            run(_print(where, wanted, follow))
            return 0
        done = run(_get(where, wanted, dest, keep, follow, as_json))
    except KeyboardInterrupt:
        say_stopped()
        raise
    return finish(done, as_json, "got")


async def _get(where: Where, wanted: list[str], dest: str, keep: bool, follow: bool, as_json: bool) -> "Transferred":
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session(where))
        report = stack.enter_context(showing(as_json))
        return await files_of(client, where).get(wanted, dest, keep=keep, wait=follow, progress=report)


async def _print(where: Where, wanted: list[str], follow: bool) -> None:
    """To standard output, one behind the other; each block only when it is verified."""
    import asyncio

    out = sys.stdout.buffer
    async with session(where) as client:
        files = files_of(client, where)
        for path in await files.matching(wanted):
            async with files.open(path, wait=follow) as file:
                async for block in file:
                    await asyncio.to_thread(out.write, block)
        out.flush()

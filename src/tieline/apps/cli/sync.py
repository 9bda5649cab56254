"""`tieline sync`: a folder here and one on the server are made the same."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from .commands import examples
from .completing import local_paths, remote_paths
from .moving import finish, say_stopped, showing
from .options import Where, files_options
from .output import print_json
from .remote_path import remote as remote_path
from .session import files_of, run, session

if TYPE_CHECKING:
    from tieline.files import Transferred


@click.command(
    epilog=examples(
        "tieline sync results /lab/results",
        "tieline sync --down results /lab/results",
        "tieline sync --delete --dry-run site /rooms/web/site",
    )
)
@click.argument("local", shell_complete=local_paths)
@click.argument("remote", shell_complete=remote_paths)
@click.option("--down", is_flag=True, help="REMOTE is the pattern, and LOCAL becomes the same.")
@click.option("--delete", is_flag=True, help="What the pattern does not have goes away.")
@click.option("--dry-run", "-n", "dry", is_flag=True, help="Only say what would be done.")
@files_options
@click.option("--json", "as_json", is_flag=True, help="Print progress and result as JSON objects, one per line.")
def sync(where: Where, local: str, remote: str, down: bool, delete: bool, dry: bool, as_json: bool) -> int:
    """Make the folder REMOTE of the server the same as the folder LOCAL.

    Only what differs in size or time of change moves. With --delete, what is only at the target goes away, once all
    else has moved.
    """
    remote = remote_path(remote)
    if dry:
        run(_say(where, local, remote, down, delete, as_json))
        return 0
    try:
        done = run(_sync(where, local, remote, down, delete, as_json))
    except KeyboardInterrupt:
        say_stopped()
        raise
    return finish(done, as_json, "synced")


async def _sync(where: Where, local: str, remote: str, down: bool, delete: bool, as_json: bool) -> "Transferred":
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session(where))
        report = stack.enter_context(showing(as_json))
        if down:
            return await files_of(client, where).sync_down(remote, local, delete=delete, progress=report)
        return await files_of(client, where).sync_up(local, remote, delete=delete, progress=report)


async def _say(where: Where, local: str, remote: str, down: bool, delete: bool, as_json: bool) -> None:
    from tieline.wire.safe_text import safe_text

    async with session(where) as client:
        plan = await files_of(client, where).plan(local, remote, down=down, delete=delete)
    if as_json:
        print_json({"moves": plan.moves, "deletes": plan.deletes})
        return
    for path in plan.moves:
        click.echo(f"{'get' if down else 'put'}     {safe_text(path)}")
    for path in plan.deletes:
        click.echo(f"delete  {safe_text(path)}")

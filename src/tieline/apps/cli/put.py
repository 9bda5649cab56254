"""`tieline put`: files and folders to the server."""

import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from .commands import examples
from .completing import local_then_remote, rooms
from .moving import finish, say_stopped, showing
from .options import Where, files_options
from .remote_path import only_a_name, remote
from .session import files_of, run, session

if TYPE_CHECKING:
    from tieline.files import Transferred


@click.command(
    epilog=examples(
        "tieline put report.pdf /lab/",
        "tieline put results/ notes.txt /lab/run-17/",
        "tieline put report.pdf --to @bob",
        "tar c . | tieline put - /backups/today.tar",
    )
)
@click.argument("paths", nargs=-1, required=True, shell_complete=local_then_remote, metavar="PATH… [DEST]")
@click.option("--as", "name", metavar="NAME", help="The name on the server, for standard input (-) or a single PATH.")
@click.option(
    "--to",
    metavar="ROOM",
    shell_complete=rooms,
    help="Put it into ROOM's files, or @name's letter box, and say so in chat.",
)
@click.option("--keep", is_flag=True, help="Replace no file that is there.")
@files_options
@click.option("--json", "as_json", is_flag=True, help="Print progress and result as JSON objects, one per line.")
def put(where: Where, paths: tuple[str, ...], name: str | None, to: str | None, keep: bool, as_json: bool) -> int:
    """Send files and folders to the server.

    With several arguments the last is where they go: into a folder when it is one, or ends with a slash. PATH - is
    standard input. It is done when everything is stored there, whole and verified. Run again, it goes on where it was
    interrupted and sends only what is not there yet.
    """
    sources, dest = _split(paths, to)
    if to is not None and where.machine:
        raise click.UsageError("--to is a room of the server, and --on another machine")
    if name is not None and len(sources) != 1:
        raise click.UsageError("--as goes with a single PATH")
    if name is not None:
        only_a_name(name, sources[0])
    if "-" in sources and len(sources) > 1:
        raise click.UsageError("standard input (-) goes alone")
    if "-" in sources and sys.stdin is None:
        raise click.UsageError("standard input is closed, so there is nothing to put")
    try:
        done = run(_put(where, sources, dest, name, to, keep, as_json))
    except KeyboardInterrupt:
        say_stopped()
        raise
    return finish(done, as_json, "put")


def _split(paths: tuple[str, ...], to: str | None) -> tuple[list[str], str]:
    if to is not None:
        if len(paths) > 1 and paths[-1].startswith("/") and not os.path.lexists(paths[-1]):
            raise click.UsageError(f"--to says where they go, so leave {paths[-1]} out")
        return [*paths], ""  # known when it is known who we are
    if len(paths) > 1:
        return [*paths[:-1]], remote(paths[-1])
    return [*paths], "/"


async def _put(
    where: Where,
    sources: list[str],
    dest: str,
    name: str | None,
    to: str | None,
    keep: bool,
    as_json: bool,
) -> "Transferred":
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session(where))
        if to is not None:
            from .announcing import folder_of

            dest = folder_of(to, client.identity.account)
        report = stack.enter_context(showing(as_json))
        inside = True if dest.endswith("/") or len(sources) > 1 else None
        if name is not None:
            dest, inside = f"{dest.rstrip('/')}/{name}", False
        if sources == ["-"]:
            if dest.endswith("/"):
                raise click.UsageError("standard input needs a name: say DEST without a slash at its end, or --as NAME")
            done = await files_of(client, where).put_stream(sys.stdin.fileno(), dest, keep=keep, progress=report)
        else:
            done = await files_of(client, where).put([*sources], dest, keep=keep, inside=inside, progress=report)
        if to is not None and not done.failed:
            from .announcing import announce

            await announce(client, to, sources, dest, bool(inside), where.timeout)
        return done

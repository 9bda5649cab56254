"""`tieline shell`: a terminal on another machine, which outlives the connection."""

import sys

import click

from tieline.errors import InvalidArgument

from .commands import examples
from .completing import sessions
from .options import Where, machine_options, place_options
from .session import run as run_loop


@click.command(
    epilog=examples(
        "tieline shell",
        "tieline shell -- htop",
        "tieline sessions; tieline shell --attach ID   back to one, from any machine",
        "tieline shell --attach ID --watch             look on, if it is shared",
    ),
    context_settings={"allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[[--] COMMAND [ARGUMENT]...]")
@click.option(
    "--attach", "id", metavar="ID", shell_complete=sessions, help="Go on with a session that is there already."
)
@click.option("--watch", is_flag=True, help="Look on only, with --attach.")
@click.option("--share", is_flag=True, help="Let others who may use a shell look on.")
@click.option("--record", is_flag=True, help="Keep a recording (asciicast) in the server's data folder.")
@click.option("--cwd", default="", metavar="DIR", help="Start in this folder, instead of the home folder.")
@machine_options("Another machine than the server's own.", place_options)
def shell(
    where: Where,
    command: tuple[str, ...],
    id: str | None,
    watch: bool,
    share: bool,
    record: bool,
    cwd: str,
) -> int:
    """A terminal there.

    Without COMMAND it is a login shell. The session goes on when the connection is lost, and this command comes back to
    it by itself. At the beginning of a line, ~. leaves it (it then waits for --attach), ~? tells what else there is.
    """
    from .terminal_session import Wanted, at_terminal

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidArgument("a shell needs a terminal on both ends; without one, use `tieline run`")
    if watch and id is None:
        raise click.UsageError("--watch goes with --attach ID")
    return run_loop(at_terminal(where, Wanted(list(command), id, watch, share, record, cwd)))

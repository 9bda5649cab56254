"""`tieline join`: make this machine known to a server, by a ticket."""

import sys

import click

from tieline import profiles

from .commands import examples
from .options import timeout_option
from .output import note
from .secret_input import read_secret
from .session import run


@click.command(
    epilog=examples(
        "tieline join 'tieline://lab:7788/ada?pin=…#…'",
        "tieline join - < ticket        keeps it out of the list of processes",
        "tieline join TICKET --profile work --device laptop",
    )
)
@click.argument("ticket")
@click.option("--device", metavar="NAME", help="What to call this machine; its own name when not given.")
@click.option("--profile", metavar="NAME", envvar="TIELINE_PROFILE", help="What to call this server here.")
@timeout_option
def join(ticket: str, device: str | None, profile: str | None, timeout: float) -> None:
    """Make this machine known to a server.

    TICKET is what `tieline invite` printed there; `-` reads it from standard input. From then on every command just
    works.
    """
    from .joining import enrol

    text = read_secret("Ticket") if ticket == "-" else ticket
    name = profile or profiles.DEFAULT_NAME
    made = run(enrol(text, device, name, timeout))
    note(f"This machine is {made.account}'s {made.device!r} now (profile {name}: {profiles.path_of(name)}).")
    chosen = "" if name == profiles.DEFAULT_NAME else f" --profile {name}"
    if sys.stderr.isatty():
        note(f"Try: tieline chat{chosen}")

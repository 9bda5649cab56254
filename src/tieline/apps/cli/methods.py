"""`tieline methods`: what the server offers."""

import click

from .catalogue import entries
from .commands import examples
from .options import Where, server_options
from .output import print_json, print_table
from .session import ask, run


@click.command(
    epilog=examples(
        "tieline methods",
        "tieline methods chat.",
        "tieline methods --on lab-1         what another machine offers",
        "tieline methods --openrpc > openrpc.json",
    )
)
@click.argument("prefix", default="")
@click.option("--on", "machine", metavar="MACHINE", help="List what this machine offers, instead of the server.")
@click.option("--openrpc", is_flag=True, help="Print the whole description of the server as an OpenRPC document.")
@server_options
def methods(where: Where, prefix: str, machine: str | None, openrpc: bool) -> None:
    """List the methods of the server, or of a machine, with their types.

    With a PREFIX only those that begin with it; `MACHINE/` is one as well.
    """
    if machine is None and "/" in prefix:
        machine, _, prefix = prefix.rpartition("/")
    if machine is not None:
        _of_machine(where, machine, prefix, openrpc)
        return
    document = run(ask(where, "server.methods"))
    if openrpc:
        print_json(document, pretty=True)
        return
    print_table(
        (
            (entry.name + entry.signature, entry.scope or "-", entry.about)
            for entry in entries(document)
            if entry.name.startswith(prefix)
        ),
        ("METHOD", "NEEDS", "WHAT IT DOES"),
    )


def _of_machine(where: Where, machine: str, prefix: str, openrpc: bool) -> None:
    if openrpc:
        raise click.UsageError("a machine describes its methods in words only: leave out --openrpc")
    offers = run(ask(where, "machines.methods", machine=machine))
    print_table(
        (
            (f"{machine}/{offer['name']}{offer['signature']}", offer["scope"] or "-", offer["about"])
            for offer in offers
            if offer["name"].startswith(prefix)
        ),
        ("METHOD", "NEEDS", "WHAT IT DOES"),
    )

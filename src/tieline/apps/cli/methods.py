"""`tieline methods`: what the server offers."""

import click

from .catalogue import entries
from .commands import examples
from .options import Where, server_options
from .output import print_json, print_table
from .session import ask, run


@click.command(epilog=examples("tieline methods", "tieline methods chat.", "tieline methods --openrpc > openrpc.json"))
@click.argument("prefix", default="")
@click.option("--openrpc", is_flag=True, help="Print the whole description as an OpenRPC document.")
@server_options
def methods(where: Where, prefix: str, openrpc: bool) -> None:
    """List the server's methods with their types.

    With a PREFIX only those that begin with it.
    """
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

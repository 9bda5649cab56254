"""`tieline revoke`: end an account or one of its devices, sessions included."""

import click

from .commands import examples
from .options import Where, server_options
from .output import note
from .session import ask, run


@click.command(epilog=examples("tieline revoke ada/old-laptop", "tieline revoke ada", "tieline revoke ticket/k3yid2ab"))
@click.argument("name", metavar="NAME[/DEVICE] | ticket/ID")
@server_options
def revoke(where: Where, name: str) -> None:
    """End an account, a device or a ticket.

    Its open sessions end within a second.
    """
    account, _, rest = name.partition("/")
    what = {"ticket": rest} if account == "ticket" else {"account": account, "device": rest or None}
    ended = run(ask(where, "accounts.revoke", **what))
    note(f"{name} is revoked; {ended} open sessions ended." if ended else f"{name} is revoked.")

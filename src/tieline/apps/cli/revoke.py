"""`tieline revoke`: end a device of one's own, or anything for an admin, sessions included."""

from typing import Any

import click

from .commands import examples
from .completing import accounts
from .options import Where, server_options
from .output import note
from .session import run, session


@click.command(
    epilog=examples(
        "tieline revoke phone                    a device of one's own",
        "tieline revoke ada/old-laptop           an admin: anybody's",
        "tieline revoke ada                      an admin: all of an account",
        "tieline revoke ticket/k3yid2ab",
    )
)
@click.argument("name", shell_complete=accounts, metavar="DEVICE | NAME[/DEVICE] | ticket/ID")
@server_options
def revoke(where: Where, name: str) -> None:
    """End a device, an account or a ticket.

    Its open sessions end within a second. A single NAME is an account for those who may administer, a device of one's
    own for everybody else.
    """
    ended = run(_revoke(where, name))
    note(
        f"{name} is revoked; {ended} open session{'' if ended == 1 else 's'} ended." if ended else f"{name} is revoked."
    )


async def _revoke(where: Where, name: str) -> int | None:
    account, slash, rest = name.partition("/")
    async with session(where) as client:
        if account == "ticket" and slash:
            what: dict[str, Any] = {"ticket": rest}
        elif slash or client.identity.may("admin"):
            what = {"account": account, "device": rest or None}
        else:
            what = {"device": account}
        ended: int | None = await client.call("accounts.revoke", timeout=where.timeout, **what)
        return ended

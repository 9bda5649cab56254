"""`tieline machines`: who can be called, for what."""

import time
from typing import TYPE_CHECKING, Any

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import age, clock, note, print_json, print_table
from .session import run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(epilog=examples("tieline machines", "tieline machines --json | jq -r '.[] | select(.here) | .target'"))
@server_options
@json_option
def machines(where: Where, as_json: bool) -> None:
    """List the machines that can be called through the server.

    For each what it offers, since when it is here, or when it was last seen. `tieline agent` puts this machine among
    them; `tieline methods --on MACHINE` says more of one.
    """
    answer = run(_list(where))
    if as_json:
        print_json(answer, pretty=True)
        return
    if not answer:
        note("No machine can be called yet; `tieline agent --allow run` on one makes it so.")
        return
    print_table(map(_row, answer), ("MACHINE", "ACCOUNT", "HERE", "OFFERS"))


def _row(machine: dict[str, Any]) -> tuple[str, ...]:
    if machine["here"]:
        here = f"for {age(time.time() - machine['since'] / 1000)}"
    else:
        here = f"last seen {clock(machine['seen'])}"
    return machine["target"], machine["account"], here, " ".join(machine["methods"]) or "-"


async def _list(where: Where) -> list[dict[str, Any]]:
    async with session(where) as client:
        return await all_machines(client, where.timeout)


async def all_machines(client: "Client", timeout: float) -> list[dict[str, Any]]:
    """All that the server lists, however many there are."""
    found: list[dict[str, Any]] = []
    after = ""
    while page := await client.call("machines.list", timeout=timeout, after=after):
        found += page
        after = f"{page[-1]['account']}/{page[-1]['device']}"
    return found

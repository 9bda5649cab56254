"""`tieline machines`: who can be called, for what."""

import time
from typing import Any

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import age, clock, note, print_json, print_table
from .session import ask, run


@click.command(epilog=examples("tieline machines", "tieline machines --json | jq -r '.[] | select(.here) | .target'"))
@server_options
@json_option
def machines(where: Where, as_json: bool) -> None:
    """List the machines that can be called through the server.

    For each what it offers, since when it is here, or when it was last seen. `tieline agent` puts this machine among
    them; `tieline methods --on MACHINE` says more of one.
    """
    answer = run(ask(where, "machines.list"))
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
    return machine["target"], machine["account"], here, " ".join(each["name"] for each in machine["methods"]) or "-"

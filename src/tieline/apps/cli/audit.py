"""`tieline audit`: which commands were run, by whom, where, and how they ended."""

import shlex
import time
from typing import Any

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import age, clock, note, print_json, print_table, size
from .session import ask, run


@click.command(
    epilog=examples(
        "tieline audit", "tieline audit --last 20 --account ada", "tieline audit --json | jq -r '.[].begun.argv[0]'"
    )
)
@click.option("--last", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N", help="The newest N.")
@click.option("--account", metavar="NAME", help="Only what this account ran.")
@server_options
@json_option
def audit(where: Where, last: int, account: str | None, as_json: bool) -> None:
    """Show which commands were run.

    For each who ran it where and when, for how long, how it ended, and how much it wrote; neither its environment nor
    its input. Only admins see the commands of others.
    """
    entries = list(reversed(run(ask(where, "audit.list", account=account, limit=last))))
    if as_json:
        print_json(entries, pretty=True)
    elif entries:
        heads = ("WHEN", "WHO", "WHERE", "TOOK", "WROTE", "ENDED", "COMMAND")
        print_table(map(_row, entries), heads, right=("TOOK", "WROTE"))
    else:
        note("No command was run yet.")


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    begun = entry["begun"]
    ended = entry.get("ended")
    took = (ended if ended is not None else time.time() * 1000) - begun["at"]
    command = shlex.join(begun["argv"])
    return (
        clock(begun["at"]),
        f"{begun['account']}/{begun['device']}",
        begun["target"] or "server",
        f"{took:.0f} ms" if took < 1000 else age(took / 1000),
        size(entry.get("out", 0)),
        entry.get("outcome") or "runs",
        f"({begun['kind']}) {command}" if begun["kind"] != "run" else command,
    )

"""`tieline audit`: which commands were run, by whom, where, and how they ended."""

import shlex
import time
from typing import Any

import click

from .commands import examples
from .completing import accounts
from .options import Where, json_option, server_options
from .output import age, clock, note, print_json, print_table, size
from .session import run, session


@click.command(
    epilog=examples(
        "tieline audit", "tieline audit --last 20 --account ada", "tieline audit --json | jq -r '.[].begun.argv[0]'"
    )
)
@click.option("--last", type=click.IntRange(1, 100_000), default=100, show_default=True, metavar="N", help="How many.")
@click.option("--account", metavar="NAME", shell_complete=accounts, help="Only what this account ran.")
@server_options
@json_option
def audit(where: Where, last: int, account: str | None, as_json: bool) -> None:
    """Show which commands were run.

    For each who ran it where and when, for how long, how it ended, and how much it wrote; neither its environment nor
    its input. What runs on a machine that is away is `lost`, with the time when it was last heard of, until it is
    back and tells. Only admins see the commands of others.
    """
    entries = list(reversed(run(_newest(where, account, last))))
    if as_json:
        print_json(entries, pretty=True)
    elif entries:
        heads = ("WHEN", "WHO", "WHERE", "TOOK", "WROTE", "ENDED", "COMMAND")
        print_table(map(_row, entries), heads, right=("TOOK", "WROTE"))
    else:
        note("No command was run yet.")


async def _newest(where: Where, account: str | None, last: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    async with session(where) as client:
        while len(entries) < last:
            before = entries[-1]["number"] if entries else None
            asked = min(last - len(entries), 1000)
            page = await client.call("audit.list", timeout=where.timeout, account=account, before=before, limit=asked)
            if not page:
                break
            entries += page
    return entries


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    begun = entry["begun"]
    heard = entry.get("heard")
    ended = entry.get("ended") or heard
    took = max(0.0, (ended if ended is not None else time.time() * 1000) - begun["at"])
    command = shlex.join(begun["argv"])
    return (
        clock(begun["at"]),
        f"{begun['account']}/{begun['device']}",
        begun["target"] or "server",
        f"{took:.0f} ms" if took < 1000 else age(took / 1000),
        size(entry.get("out", 0)),
        entry.get("outcome") or ("runs" if heard is None else f"lost: last heard of {clock(heard)}"),
        f"({begun['kind']}) {command}" if begun["kind"] != "run" else command,
    )

"""`tieline status`: the server and its links, as `ss` shows sockets."""

from typing import Any

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .options import Where, json_option, server_options
from .output import age, print_json, print_table, size
from .session import ask, run

HEADS = ("ACCOUNT", "DEVICE", "FROM", "BY", "STATE", "SINCE", "CALLS", "TOPICS", "QUEUE", "RTT", "IN", "OUT")
RIGHT = ("SINCE", "CALLS", "TOPICS", "QUEUE", "RTT", "IN", "OUT")


@click.command(epilog=examples("tieline status", "tieline status --json | jq '.links | length'"))
@server_options
@json_option
def status(where: Where, as_json: bool) -> None:
    """Show the server and its links.

    For each link its account, transport, state, queue, round-trip time, and bytes in and out.
    """
    answer = run(ask(where, "server.status"))
    if as_json:
        print_json(answer, pretty=True)
        return
    links = answer.get("links", [])
    click.echo(
        f"{safe_text(str(answer.get('name', '')))}: tieline {safe_text(str(answer.get('version', '?')))}, "
        f"up {age(answer.get('uptime', 0))}, {len(links)} link{'' if len(links) == 1 else 's'}"
    )
    if links:
        click.echo()
        print_table(map(_row, links), HEADS, right=RIGHT)


def _row(link: dict[str, Any]) -> tuple[object, ...]:
    trip = link.get("rtt")
    return (
        link.get("account", ""),
        link.get("device", ""),
        _from(link),
        link.get("transport", ""),
        link.get("state", ""),
        age(link.get("age", 0)),
        link.get("calls", 0),
        link.get("topics", 0),
        size(link.get("queue", 0)),
        "-" if trip is None else f"{trip * 1000:.2f} ms",
        size(link.get("bytes_in", 0)),
        size(link.get("bytes_out", 0)),
    )


def _from(link: dict[str, Any]) -> str:
    # The path of the Unix socket is the same for all, and long.
    return "-" if link.get("transport") == "unix" else link.get("remote") or link.get("address") or "-"

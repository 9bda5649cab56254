"""`tieline accounts`: who may use the server, with which devices."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import clock, print_json, print_table
from .session import run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(epilog=examples("tieline accounts", "tieline accounts --json | jq -r '.[].account'"))
@server_options
@json_option
def accounts(where: Where, as_json: bool) -> None:
    """List accounts, devices and open tickets."""
    answer = run(_list(where))
    if as_json:
        print_json(answer, pretty=True)
        return
    print_table(
        (row for account in answer for row in _rows(account)),
        ("ACCOUNT", "DEVICE OR TICKET", "MAY", "SINCE, UNTIL", ""),
    )


async def _list(where: Where) -> list[dict[str, Any]]:
    async with session(where) as client:
        return await all_accounts(client, where.timeout)


async def all_accounts(client: "Client", timeout: float) -> list[dict[str, Any]]:
    """All that the server lists, however many there are."""
    found: list[dict[str, Any]] = []
    while page := await client.call("accounts.list", timeout=timeout, after=found[-1]["account"] if found else ""):
        found += page
    return found


def _rows(account: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    ended = f"revoked {clock(account['revoked'])}" if account.get("revoked") else ""
    yield account["account"], "", _may(account), clock(account["created"]), ended
    for device in account.get("devices", ()):
        yield "", device["name"], _may(device), clock(device["created"]), ""
    for ticket in account.get("tickets", ()):
        yield "", f"ticket {ticket['id']}", _may(ticket), f"until {clock(ticket['expires'])}", ""


def _may(record: dict[str, Any]) -> str:
    return ",".join(sorted(record.get("scopes", ())))

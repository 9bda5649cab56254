"""`tieline invite`: a one-time ticket for somebody, or for another device of somebody."""

import socket

import click

from .commands import examples
from .completing import accounts
from .durations import Duration
from .options import Where, can_option, json_option, server_options
from .output import age, note, print_json
from .session import run, session


@click.command(
    epilog=examples(
        "tieline invite ada",
        "tieline invite ada --can chat,files --expires 7d",
        "tieline invite build-bot --address lab.example:7788 > ticket",
    )
)
@click.argument("name", shell_complete=accounts)
@can_option("What it may do: chat, files, shell, admin; by comma.")
@click.option("--expires", type=Duration(), default="24h", show_default=True, metavar="SPAN", help="Good for so long.")
@click.option("--address", metavar="HOST[:PORT]", help="Where the invited will reach the server, if it guesses wrong.")
@server_options
@json_option
def invite(where: Where, name: str, can: list[str] | None, expires: float, address: str | None, as_json: bool) -> None:
    """Print a ticket for somebody.

    The account NAME is made when it is new, and may chat unless --can says otherwise. Whoever has the ticket can
    become NAME, once: hand it over privately.
    """
    ticket = run(_invite(where, name, can, expires, address))
    if as_json:
        print_json({"ticket": ticket, "account": name, "expires_in": expires})
        return
    from tieline.transports.address import parse

    click.echo(ticket)
    note(f"One use, within {age(expires)}, at {parse(ticket).where}. On the other machine: tieline join TICKET")


async def _invite(where: Where, name: str, can: list[str] | None, expires: float, address: str | None) -> str:
    from msgspec.structs import replace

    from tieline.apps.networks import place_for_others
    from tieline.transports.address import parse

    async with session(where) as client:
        ticket: str = await client.call(
            "accounts.invite", timeout=where.timeout, account=name, can=can, expires=expires
        )
        here = client.address.scheme == "unix"
    seen = parse(ticket)
    if address is not None:
        named = parse(address)
        seen = replace(seen, host=named.host, port=named.port)
    elif here and seen.host == socket.gethostname():
        seen = replace(seen, host=place_for_others(seen.host))
    return str(seen)

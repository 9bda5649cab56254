"""`tieline invite`: a one-time ticket for somebody, or for another device of somebody."""

import click

from .commands import examples
from .durations import Duration
from .options import Where, json_option, server_options
from .output import age, note, print_json
from .session import ask, run


@click.command(
    epilog=examples(
        "tieline invite ada",
        "tieline invite ada --can chat,files --expires 7d",
        "tieline invite build-bot --address lab.example:7788 > ticket",
    )
)
@click.argument("name")
@click.option("--can", default=None, metavar="SCOPES", help="What it may do: chat, files, shell, admin; by comma.")
@click.option("--expires", type=Duration(), default="24h", show_default=True, metavar="SPAN", help="Good for so long.")
@click.option("--address", metavar="HOST[:PORT]", help="Where the invited will reach the server, if it guesses wrong.")
@server_options
@json_option
def invite(where: Where, name: str, can: str | None, expires: float, address: str | None, as_json: bool) -> None:
    """Print a ticket for somebody.

    The account NAME is made when it is new, and may chat unless --can says otherwise. Whoever has the ticket can
    become NAME, once: hand it over privately.
    """
    scopes = None if can is None else [word for word in can.replace(",", " ").split() if word]
    ticket: str = run(ask(where, "accounts.invite", account=name, can=scopes, expires=expires))
    if address is not None:
        ticket = _at(ticket, address)
    if as_json:
        print_json({"ticket": ticket, "account": name, "expires_in": expires})
        return
    click.echo(ticket)
    note(f"One use, within {age(expires)}. On the other machine: tieline join TICKET")


def _at(ticket: str, place: str) -> str:
    """The same ticket for somebody who reaches the server by another name."""
    import msgspec

    from tieline.transports.address import parse

    seen = parse(place)
    return str(msgspec.structs.replace(parse(ticket), host=seen.host, port=seen.port))

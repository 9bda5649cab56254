"""`tieline token`: what a script shows instead of logging in."""

from typing import Any

import click

from .commands import examples
from .completing import accounts
from .durations import Duration
from .options import Where, can_option, json_option, server_options
from .output import age, clock, note, print_json, print_table
from .session import ask, run


@click.command(
    epilog=examples(
        'curl -H "Authorization: Bearer $(tieline token ci --expires 30d)" …',
        "tieline token ci --can files,chat    for the files of rooms too",
        "tieline token --list",
        "tieline token --revoke ci",
    )
)
@click.argument("name", default="")
@can_option("What it may do, by comma; no more than you may. [default: files, without those of rooms]")
@click.option("--expires", type=Duration(), default="90d", show_default=True, metavar="SPAN", help="Good for so long.")
@click.option("--list", "listing", is_flag=True, help="List your tokens instead.")
@click.option("--revoke", metavar="NAME", help="End a token instead; what is going on with it stops.")
@click.option(
    "--account",
    metavar="NAME",
    shell_complete=accounts,
    help="With --list and --revoke: somebody else's tokens, for admins.",
)
@server_options
@json_option
def token(
    where: Where,
    name: str,
    can: list[str] | None,
    expires: float,
    listing: bool,
    revoke: str | None,
    account: str | None,
    as_json: bool,
) -> None:
    """Print an access token, for curl and other programs that do not log in.

    It is shown this once. It ends by itself, with your account, and with the device you made it on; NAME is what you
    call it. Unless told otherwise it is for files and nothing else, since it lies where others may find it; the files
    of rooms (/files/rooms/…) are for who may chat, so they take --can files,chat.
    """
    if revoke is not None:
        run(ask(where, "tokens.revoke", name=revoke, account=account))
        note(f"The token {revoke} is revoked.")
    elif listing:
        _show(run(ask(where, "tokens.list", account=account)), as_json)
    elif account is not None:
        raise click.UsageError("a token is made for oneself; --account goes with --list and --revoke")
    else:
        made = run(ask(where, "tokens.create", name=name, can=can, expires=expires))
        if as_json:
            print_json(made)
            return
        click.echo(made["token"])
        note(f"{made['name']}: may {', '.join(made['scopes'])}, for {age(expires)}. It is not shown again.")


def _show(tokens: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(tokens, pretty=True)
        return
    print_table(
        (
            (each["name"], ",".join(each["scopes"]), each["device"], clock(each["created"]), clock(each["expires"]))
            for each in tokens
        ),
        ("TOKEN", "MAY", "MADE ON", "SINCE", "UNTIL"),
    )

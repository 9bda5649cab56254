"""`tieline allow`: what an account may do, and which commands it may run where."""

from typing import TYPE_CHECKING

import click

from .commands import examples
from .completing import accounts
from .options import Where, can_option, on_option, server_options, words
from .output import note
from .session import run, session

if TYPE_CHECKING:
    from tieline.client import Client


@click.command(
    epilog=examples(
        "tieline allow ada --can chat,shell",
        "tieline allow build-bot --can shell --on 'lab-*' --commands make,git",
        "tieline allow build-bot --commands ANY --on ANY   not narrowed any more",
    )
)
@click.argument("account", shell_complete=accounts)
@can_option("What it may do at most: chat, files, shell, admin; by comma.")
@on_option("Run commands on these only, by comma; 'lab-*', server, ANY.", "targets", metavar="MACHINES")
@click.option("--commands", metavar="NAMES", help="Run these programs only, by comma, and no terminal sessions; ANY.")
@server_options
def allow(where: Where, account: str, can: list[str] | None, targets: str | None, commands: str | None) -> None:
    """Set what an account may do.

    What it has open ends, and comes back with just that. --on and --commands narrow the scope shell; a program may
    still do whatever its arguments make it do, so let nobody run one that starts others (sh, env, vim, find, …).
    """
    if can is None and targets is None and commands is None:
        raise click.UsageError("say what is to change: --can, --on or --commands")
    run(_allow(where, account, can, targets, commands))


async def _allow(where: Where, account: str, can: list[str] | None, targets: str | None, commands: str | None) -> None:
    async with session(where) as client:
        if targets is not None or commands is not None:
            await _narrow(client, where, account, targets, commands)
        if can is not None:
            now = await client.call("accounts.allow", timeout=where.timeout, account=account, can=can)
            note(f"{account} may {', '.join(now) or 'do nothing'}.")


async def _narrow(client: "Client", where: Where, account: str, targets: str | None, commands: str | None) -> None:
    """What was not mentioned stays as it is."""
    rule = await client.call("shell.rule", timeout=where.timeout, account=account)
    on = rule["targets"] if targets is None else _names(targets)
    what = rule["commands"] if commands is None else _names(commands)
    await client.call("shell.narrow", timeout=where.timeout, account=account, targets=on, commands=what)
    note(f"With the scope shell, {account} may run {_shown(what, 'anything')} on {_shown(on, 'any machine')}.")


def _names(text: str) -> list[str] | None:
    return None if text == "ANY" else words(text)


def _shown(names: list[str] | None, everything: str) -> str:
    return everything if names is None else ", ".join(names) or "nothing"

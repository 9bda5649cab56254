"""`tieline sessions`: the terminal sessions there are, to come back to or to watch."""

import shlex
import time
from typing import Any

import click

from tieline.errors import NotFound

from .commands import examples
from .completing import machines
from .completing import sessions as session_ids
from .options import Where, json_option, server_options
from .output import age, note, print_json, print_table, size
from .run_trouble import NO_COMMANDS
from .session import ask, run


@click.command(
    epilog=examples(
        "tieline sessions", "tieline shell --attach ID", "tieline sessions --share ID", "tieline sessions --end ID"
    )
)
@click.option(
    "--on",
    "target",
    default="",
    metavar="MACHINE",
    shell_complete=machines,
    help="Of another machine than the server's own.",
)
@click.option(
    "--share",
    metavar="ID",
    shell_complete=session_ids,
    help="Let others who may use a shell look on: tieline shell --attach ID --watch.",
)
@click.option("--unshare", metavar="ID", shell_complete=session_ids, help="Let nobody look on any more.")
@click.option("--end", "ended", metavar="ID", shell_complete=session_ids, help="End a session and all that runs in it.")
@server_options
@json_option
def sessions(
    where: Where, target: str, share: str | None, unshare: str | None, ended: str | None, as_json: bool
) -> None:
    """List terminal sessions: one's own, and those one may watch."""
    prefix = f"{target}/shell." if target else "shell."
    changes = {"share": share, "unshare": unshare, "close": ended}
    for change, id in changes.items():
        if id is not None:
            more = {} if change == "close" else {"watchable": change == "share"}
            run(_asked(where, prefix + ("close" if change == "close" else "share"), id=id, **more))
    if any(changes.values()):
        return
    found = run(_asked(where, f"{prefix}sessions"))
    if as_json:
        print_json(found, pretty=True)
    elif found:
        heads = ("ID", "WHOSE", "DRIVEN BY", "WATCHED", "SINCE", "PRINTED", "COMMAND")
        print_table(map(_row, found), heads, right=("WATCHED", "PRINTED"))
    else:
        note("There is no session; `tieline shell` opens one.")


async def _asked(where: Where, method: str, **params: Any) -> Any:
    try:
        return await ask(where, method, **params)
    except NotFound as error:
        if error.data == {"method": method} and method.startswith("shell."):
            raise NotFound(NO_COMMANDS) from error
        raise


def _row(info: dict[str, Any]) -> tuple[object, ...]:
    driver = "ended" if info.get("ended") is not None else info["driver"] or "nobody"
    since = age(time.time() - info["since"] / 1000)
    watched = info["watchers"] if info["watchable"] else "-"
    whose = f"{info['account']}/{info['device']}"
    return info["id"], whose, driver, watched, since, size(info["position"]), shlex.join(info["argv"])

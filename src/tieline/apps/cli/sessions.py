"""`tieline sessions`: the terminal sessions there are, to come back to or to watch."""

import shlex
import time
from typing import Any

import click

from tieline.errors import NotFound

from .commands import examples
from .completing import sessions as session_ids
from .options import Where, json_option, machine_options
from .output import age, note, print_json, print_table, size
from .run_trouble import NO_COMMANDS
from .session import ask, run


@click.command(
    epilog=examples(
        "tieline sessions", "tieline shell --attach ID", "tieline sessions --share ID", "tieline sessions --end ID"
    )
)
@click.option(
    "--share",
    metavar="ID",
    shell_complete=session_ids,
    help="Let others who may use a shell look on: tieline shell --attach ID --watch.",
)
@click.option("--unshare", metavar="ID", shell_complete=session_ids, help="Let nobody look on any more.")
@click.option("--end", "ended", metavar="ID", shell_complete=session_ids, help="End a session and all that runs in it.")
@machine_options("Of another machine than the server's own.")
@json_option
def sessions(where: Where, share: str | None, unshare: str | None, ended: str | None, as_json: bool) -> None:
    """List terminal sessions: one's own, and those one may watch."""
    if share is not None:
        run(_asked(where, "shell.share", id=share, watchable=True))
    if unshare is not None:
        run(_asked(where, "shell.share", id=unshare, watchable=False))
    if ended is not None:
        run(_asked(where, "shell.close", id=ended))
    if share or unshare or ended:
        return
    found = run(_asked(where, "shell.sessions"))
    if as_json:
        print_json(found, pretty=True)
    elif found:
        heads = ("ID", "WHOSE", "DRIVEN BY", "WATCHED", "SINCE", "PRINTED", "COMMAND")
        print_table(map(_row, found), heads, right=("WATCHED", "PRINTED"))
    else:
        note("There is no session; `tieline shell` opens one.")


async def _asked(where: Where, method: str, **params: Any) -> Any:
    try:
        return await ask(where, where.method(method), **params)
    except NotFound as error:
        if error.data == {"method": method} and not where.machine:
            raise NotFound(NO_COMMANDS) from error
        raise


def _row(info: dict[str, Any]) -> tuple[object, ...]:
    driver = "ended" if info.get("ended") is not None else info["driver"] or "nobody"
    since = age(time.time() - info["since"] / 1000)
    watched = info["watchers"] if info["watchable"] else "-"
    whose = f"{info['account']}/{info['device']}"
    return info["id"], whose, driver, watched, since, size(info["position"]), shlex.join(info["argv"])

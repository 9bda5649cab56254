"""What a shell offers for the word at the cursor: rooms, accounts, machines, methods, sessions, paths here or there.

It asks the server that the command would talk to. One that is not there, does not answer soon or does not tell is no
reason to disturb somebody who types: then nothing is offered. Nor are names that a shell would have to quote.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from .options import DEFAULT_ROOM, Where

if TYPE_CHECKING:
    from tieline.client import Client

PATIENCE = 2.0
"Seconds. Who presses Tab waits for it."
_UNQUOTED = re.compile(r"[\w@+./-][\w@%+,./~-]*")

Asked = Callable[["Client", Where, str], Awaitable[Iterable[str]]]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(asked: Asked) -> Completer:
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = _answer(asked, _where(context), incomplete)
        return [CompletionItem(name) for name in names if name.startswith(incomplete) and _UNQUOTED.fullmatch(name)]

    return complete


def _where(context: click.Context) -> Where:
    said = context.params
    return Where(said.get("server"), said.get("profile"), PATIENCE, said.get("machine") or "")


def _answer(asked: Asked, where: Where, incomplete: str) -> Sequence[str]:
    import asyncio

    from tieline.errors import TielineError

    from .session import run, session

    async def ask() -> Sequence[str]:
        async with asyncio.timeout(PATIENCE), session(where) as client:
            return list(await asked(client, where, incomplete))

    try:
        return run(ask())
    except (TielineError, OSError, TimeoutError):
        return []


@_completer
async def rooms(client: "Client", where: Where, incomplete: str) -> Iterable[str]:
    """Those that were talked in, and the one everybody has."""
    found = [room["name"] for room in (await client.call("chat.rooms"))["rooms"]]
    return sorted({DEFAULT_ROOM, *found})


@_completer
async def accounts(client: "Client", where: Where, incomplete: str) -> Iterable[str]:
    """For admins; behind NAME/ its devices."""
    from .accounts import all_accounts

    listed = await all_accounts(client, PATIENCE)
    if "/" not in incomplete:
        return [each["account"] for each in listed if not each.get("revoked")]
    return [f"{each['account']}/{device['name']}" for each in listed for device in each.get("devices", ())]


@_completer
async def machines(client: "Client", where: Where, incomplete: str) -> Iterable[str]:
    """Those that can be called now."""
    from .machines import all_machines

    return [each["target"] for each in await all_machines(client, PATIENCE) if each["here"]]


@_completer
async def methods(client: "Client", where: Where, incomplete: str) -> Iterable[str]:
    """Of the server, or of the machine that was named."""
    machine, slash, _ = incomplete.rpartition("/")
    if name := where.machine or machine:
        offers = await client.call("machines.methods", machine=name)
    else:
        offers = await client.call("server.methods", compact=True)
    return [f"{machine}{slash}{offer['name']}" for offer in offers]


@_completer
async def sessions(client: "Client", where: Where, incomplete: str) -> Iterable[str]:
    """By their ids."""
    listed: list[dict[str, Any]] = await client.call(where.method("shell.sessions"))
    return [each["id"] for each in listed]


@_completer
async def remote_paths(client: "Client", where: Where, incomplete: str) -> Iterable[str]:
    """Of the server, or of the machine that was named; in a folder that is the only one, what is in it too, so that
    the shell puts no space behind it."""
    folder, slash, start = incomplete.rpartition("/")
    found = [name for name in await _listed(client, where, folder + slash) if name.startswith(folder + slash + start)]
    if len(found) == 1 and found[0].endswith("/"):
        found += await _listed(client, where, found[0])
    return found


async def _listed(client: "Client", where: Where, folder: str) -> list[str]:
    page = await client.call(where.method("files.list"), path=folder or "/", after="")
    return [f"{folder}{each['name']}{'/' * (each['kind'] == 'folder')}" for each in page["entries"]]


def local_paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of this machine: the shell itself knows those best."""
    return [CompletionItem(incomplete, type="file")]


def local_then_remote(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What is put, and at last where to: from the second on what begins with a slash may be of either."""
    behind_another = bool(context.params.get(parameter.name or ""))
    there = remote_paths(context, parameter, incomplete) if behind_another and incomplete.startswith("/") else []
    return there or local_paths(context, parameter, incomplete)


def remote_then_local(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What is fetched, and at last where to."""
    behind_another = bool(context.params.get(parameter.name or ""))
    if behind_another and not incomplete.startswith("/"):
        return local_paths(context, parameter, incomplete)
    return remote_paths(context, parameter, incomplete)

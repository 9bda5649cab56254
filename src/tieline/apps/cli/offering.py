"""An agent from its first link to Ctrl-C: it comes back as long as the server wants it, and says what it offers."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from tieline.errors import LinkError
from tieline.limits import Limits
from tieline.link.dial import backoff
from tieline.processes.family import adopt_orphans
from tieline.rpc.handlers import Handlers
from tieline.services import shell
from tieline.services.shell.elsewhere import ServerAudit, ServerRules
from tieline.transports.loops import fastest

from .first import first
from .options import Where
from .output import note
from .session import open_client
from .stopping import stop_signals
from .target import Target, choose

if TYPE_CHECKING:
    from tieline.client import Client
    from tieline.services.files.serving import FileService

PATIENCE = 5.0
"Seconds. The server is asked for a sign of life when it was silent so long, and dialled anew after twice that."


def run(where: Where, words: Sequence[str], folder: Path | None = None) -> None:
    """Until Ctrl-C or SIGTERM. Raises ConfigError without a server, and LoginError when it does not want us."""
    adopt_orphans()
    with asyncio.Runner(loop_factory=fastest()) as runner:
        runner.run(_offer(choose(where), where.timeout, words, folder))


async def _offer(target: Target, timeout: float, words: Sequence[str], folder: Path | None) -> None:
    with stop_signals(lambda: note("Ending what runs here for others; Ctrl-C again stops at once.")) as stop:
        async with AsyncExitStack() as stack:
            client = await _first_link(stack, target, timeout, stop)
            if client is None:
                return
            handlers = Handlers()
            ends: list[Callable[[str, str | None], object]] = []
            if folder is not None:
                ends.append((await _files(stack, handlers, folder, client.limits, "files" in words)).lanes.cut)
            if {"run", "shell"} & {*words}:
                ends.append((await _shell(stack, client, handlers, words)).end)
            called = await client.serve(handlers, revoked=lambda account, device: _all(ends, account, device))
            client.on_link = lambda sentence: note(f"{client.server_name}: {sentence}")
            note(f"This machine can be called as {called} through {client.server_name}: {', '.join(words)}.")
            note(f"Who has the scope {_scopes(words)} there may do this as the user who runs this. Ctrl-C ends it.")
            await first(client.over(), stop.wait())
            if client.is_open:
                await client.withdraw()


async def _files(
    stack: AsyncExitStack, handlers: Handlers, folder: Path, limits: Limits, writes: bool
) -> "FileService":
    """One folder, under the rules of scopes. What is known of its files is forgotten at the end, and found again."""
    import ssl  # for agents that share no files these are milliseconds for nothing

    from tieline.lanes.connection import Lane
    from tieline.lanes.server import LaneServer
    from tieline.lanes.tokens import Tokens
    from tieline.login.identity import Identity
    from tieline.services.files.serving import offering
    from tieline.store.files.trouble import on_a_machine_that_joined
    from tieline.store.sqlite import SqliteStore

    def make_lanes(tokens: Tokens, serve: Callable[[Lane, Identity], None]) -> LaneServer:
        # Without a certificate: lanes come through the link, which is encrypted.
        return LaneServer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tokens, serve, limits)

    on_a_machine_that_joined()
    store = await stack.enter_async_context(SqliteStore(":memory:", limits=limits))
    return await stack.enter_async_context(offering(handlers, store, folder, make_lanes, limits, writes=writes))


def _all(ends: Sequence[Callable[[str, str | None], object]], account: str, device: str | None) -> None:
    for end in ends:
        end(account, device)


def _scopes(words: Sequence[str]) -> str:
    """What it takes to use what is allowed here."""
    scopes = [
        *(["`shell`"] if {"run", "shell"} & {*words} else []),
        *(["`files.read`"] if "files.read" in words else []),
        *(["`files`"] if "files" in words else []),
    ]
    return " or ".join(scopes)


async def _shell(stack: AsyncExitStack, client: "Client", handlers: Handlers, words: Sequence[str]) -> shell.Shell:
    """Commands and terminals, under the rules of the server and in its audit."""
    audit = ServerAudit(client)
    stack.push_async_callback(audit.close)
    serving = shell.serving(
        handlers,
        client.limits,
        rules=ServerRules(client),
        audit=audit,
        name=f"{client.identity.account}/{client.identity.device}",
        runs="run" in words,
        sessions="shell" in words,
    )
    return await stack.enter_async_context(serving)


async def _first_link(stack: AsyncExitStack, target: Target, timeout: float, stop: asyncio.Event) -> "Client | None":
    """The client, as soon as the server can be reached; None when told to stop before."""
    for attempt in count(1):
        dialling = asyncio.ensure_future(open_client(stack, target, timeout, ping=PATIENCE))
        try:
            await first(asyncio.shield(dialling), stop.wait())
            if dialling.done():
                return dialling.result()
        except LinkError as error:
            if attempt == 1:
                note(f"{error}; trying again until it is there")
        finally:
            dialling.cancel()
            await asyncio.gather(dialling, return_exceptions=True)
        if not stop.is_set():
            await first(asyncio.sleep(backoff(attempt, random.random())), stop.wait())
        if stop.is_set():
            break
    return None

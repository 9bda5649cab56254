"""An agent from its first link to Ctrl-C: it comes back as long as the server wants it, and says what it offers."""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

from tieline.errors import LinkError
from tieline.link.dial import backoff
from tieline.processes.family import adopt_orphans
from tieline.rpc.handlers import Handlers
from tieline.services import shell
from tieline.services.shell.elsewhere import ServerAudit, ServerRules

from .loops import loop_factory
from .options import Where
from .output import note
from .session import open_client
from .stopping import stop_signals
from .target import Target, choose

if TYPE_CHECKING:
    from tieline.client import Client

PATIENCE = 5.0
"Seconds. The server is asked for a sign of life when it was silent so long, and dialled anew after twice that."


def run(where: Where, words: Sequence[str]) -> None:
    """Until Ctrl-C or SIGTERM. Raises ConfigError without a server, and LoginError when it does not want us."""
    adopt_orphans()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_offer(choose(where), where.timeout, words))


async def _offer(target: Target, timeout: float, words: Sequence[str]) -> None:
    with stop_signals(lambda: note("Ending what runs here for others; Ctrl-C again stops at once.")) as stop:
        async with AsyncExitStack() as stack:
            client = await _first_link(stack, target, timeout, stop)
            if client is None:
                return
            handlers = Handlers()
            service = await _shell(stack, client, handlers, words)
            called = await client.serve(handlers, revoked=service.end)
            client.on_link = lambda sentence: note(f"{client.server_name}: {sentence}")
            note(f"This machine can be called as {called} through {client.server_name}: {', '.join(words)}.")
            note("Who has the scope `shell` there may do this as the user who runs this. Ctrl-C ends it.")
            await _first(client.over(), stop.wait())
            if client.is_open:
                await client.withdraw()


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
            await _first(asyncio.shield(dialling), stop.wait())
            if dialling.done():
                return dialling.result()
        except LinkError as error:
            if attempt == 1:
                note(f"{error}; trying again until it is there")
        finally:
            dialling.cancel()
            await asyncio.gather(dialling, return_exceptions=True)
        if not stop.is_set():
            await _first(asyncio.sleep(backoff(attempt, random.random())), stop.wait())
        if stop.is_set():
            break
    return None


async def _first(*waits: Awaitable[Any]) -> None:
    """Until one of them is over; raises what it raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""From what a person said to a logged-in client; the only file here that knows how a client is made."""

from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tieline.errors import DialFailed
from tieline.profiles import Profile

from .options import Where
from .target import Target, choose

if TYPE_CHECKING:
    from tieline.client import Client
    from tieline.files import Files

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's coroutine to its end. Ctrl-C cancels it, lets it clean up, and is raised as KeyboardInterrupt."""
    import asyncio

    return asyncio.run(main)


@asynccontextmanager
async def session(where: Where, **limits: float) -> AsyncIterator["Client"]:
    """A client of the chosen server; it comes back by itself when the link is lost. Raises within `where.timeout`.

    `limits` are those of `Limits` that are to be others than usual.
    """
    async with AsyncExitStack() as stack:
        yield await open_client(stack, choose(where), where.timeout, **limits)


async def open_client(stack: AsyncExitStack, target: Target, timeout: float, **limits: Any) -> "Client":
    """A client of this target, closed by `stack`."""
    import asyncio

    from tieline.client import connect
    from tieline.limits import Limits

    try:
        async with asyncio.timeout(timeout):
            return await stack.enter_async_context(
                connect(target.address, limits=Limits(**limits), **_credential(target.profile))
            )
    except TimeoutError:
        raise DialFailed(_shown(target.address), f"no answer within {timeout:g} s") from None


def files_of(client: "Client", where: Where) -> "Files":
    """Those of the server, or of the machine that was named."""
    return client.files.on(where.machine) if where.machine else client.files


async def ask(where: Where, method: str, **params: Any) -> Any:
    """One call on a client of its own."""
    async with session(where) as client:
        return await client.call(method, timeout=where.timeout, **params)


def _credential(profile: Profile | None) -> dict[str, Any]:
    if profile is None:
        return {}
    return {
        "account": profile.account,
        "device": profile.device,
        "key": profile.key,
        "pin": profile.pin or None,
    }


def _shown(address: str) -> str:
    from tieline.transports.address import parse

    return parse(address).where

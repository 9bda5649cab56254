"""`tieline password`: a password for the places that cannot hold a key."""

import click

from .commands import examples
from .options import Where, server_options
from .output import note
from .secret_input import read_secret
from .session import run, session


@click.command(epilog=examples("tieline password", "pass show tieline | tieline password"))
@server_options
def password(where: Where) -> None:
    """Set your password.

    It is for the lines door (nc, openssl) and the browser. It is asked for, or read from standard input; the server
    gets a verifier of it, never the password.
    """
    run(_set(where, read_secret("New password", confirm=True)))
    note("The password is set.")


async def _set(where: Where, secret: str) -> None:
    import asyncio
    import secrets

    from tieline.login.scram import make_verifier
    from tieline.login.scram_bounds import PASSWORD_ITERATIONS

    verifier = await asyncio.to_thread(make_verifier, secret, PASSWORD_ITERATIONS, secrets.token_bytes)
    async with session(where) as client:
        await client.call("accounts.password", timeout=where.timeout, verifier=verifier)

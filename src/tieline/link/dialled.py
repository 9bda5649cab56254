"""Dialling with any codec.

async with tieline.dial("tcp://127.0.0.1:8888", codec=tieline.Lines()) as link:
    await link.send("hello")
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tieline.errors import DialFailed
from tieline.limits import DEFAULT, Limits
from tieline.link import options
from tieline.link.dial import dial_stream
from tieline.link.link import Link, checked_codec
from tieline.link.proof import Proof, prove
from tieline.transports import memory
from tieline.transports.sockets import KeepAlive
from tieline.wire.codecs import Codec, Raw


@asynccontextmanager
async def dial(
    address: str,
    *,
    codec: Codec | None = None,
    tls: ssl.SSLContext | str | Path | None = None,
    challenge: Proof | None = None,
    limits: Limits = DEFAULT,
    timeout: float | None = None,
    no_delay: bool = True,
    keep_alive: bool | KeepAlive = True,
    send_buffer: int | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[Link]:
    """A link to `address`: tcp://, tls://, unix:/path or memory:name. Leaving closes it.

    `tls` is a PEM file of certificate authorities or an ssl.SSLContext; without it the pin in the address decides, or
    else the system's authorities. `challenge` proves its key before the first message. `timeout` in seconds is for
    all of that (`Limits.opening`). Raises AddressError, ConfigError, DialFailed, PinMismatch and LoginFailed.
    """
    options.proof(challenge)
    options.seconds("timeout", timeout)
    settings = options.socket_options(no_delay, keep_alive, send_buffer, receive_buffer)
    link = Link(checked_codec(Raw() if codec is None else codec), limits)
    allowed = limits.opening if timeout is None else timeout
    if address.startswith("memory:"):
        memory.dial(address.removeprefix("memory:"), link, limits=limits)
    else:
        where = options.stream_address(address)
        context = await asyncio.to_thread(options.client_tls, where, tls) if tls is not None else None
        await dial_stream(where, link, limits=limits, timeout=allowed, alpn=None, context=context, options=settings)
    if not no_delay:
        link.set_no_delay(False)
    try:
        if challenge is not None:
            await _prove(link, challenge, address, allowed)
        yield link
    finally:
        link.close()
        await link.wait_closed()


async def _prove(link: Link, challenge: Proof, address: str, allowed: float) -> None:
    try:
        async with asyncio.timeout(allowed):
            await prove(link, challenge)
    except TimeoutError as error:
        raise DialFailed(address, f"no challenge within {allowed:g} s: does the server there send one?") from error

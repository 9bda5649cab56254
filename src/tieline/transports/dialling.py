"""Connected sockets: names are looked up in a thread, and a host's addresses are tried with a head start each.

RFC 8305 ("happy eyeballs"), kept simple: a dead IPv6 route costs 250 ms, not the whole deadline. Raises OSError as the
system does; the caller puts a deadline around it. Cancelling is safe and leaks no socket.
"""

import asyncio
import itertools
import socket
from collections.abc import Sequence
from typing import Any

from tieline.transports.sockets import STREAM, SocketOptions

HEAD_START = 0.25
"Seconds before the next address is tried beside those still silent (RFC 8305, 5)."

Place = tuple[int, tuple[str | int | bytes, ...]]


async def connect_tcp(host: str, port: int, *, options: SocketOptions = STREAM) -> socket.socket:
    """A connected, non-blocking socket to the first of the host's addresses that answers."""
    places = interleaved([(int(family), where) for family, _, _, _, where in await _found(host, port)])
    return await race(places, options=options, head_start=HEAD_START)


async def connect_unix(path: str, *, options: SocketOptions = STREAM) -> socket.socket:
    return await _connect(socket.AF_UNIX, path, options)


async def _found(host: str, port: int) -> list[Any]:
    # Bytes: for text Python loads tables of Unicode first, which takes longer than a short command has.
    name = host.encode() if host.isascii() else host
    try:
        # An address is no name: nobody is asked, and no thread is needed.
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)


def interleaved(places: Sequence[Place]) -> list[Place]:
    """IPv6 and IPv4 in turn, beginning with the family the system put first; each address once."""
    places = list(dict.fromkeys(places))
    first = [place for place in places if place[0] == places[0][0]]
    other = [place for place in places if place[0] != places[0][0]]
    return [place for pair in itertools.zip_longest(first, other) for place in pair if place is not None]


async def race(places: Sequence[Place], *, options: SocketOptions, head_start: float) -> socket.socket:
    """The first to connect wins and all others are closed. A refusal starts the next one at once."""
    tasks: set[asyncio.Task[socket.socket]] = set()
    try:
        return await _winner(list(places), tasks, options, head_start)
    finally:
        await _close(tasks)


async def _winner(
    waiting: list[Place], tasks: set[asyncio.Task[socket.socket]], options: SocketOptions, head_start: float
) -> socket.socket:
    """Leaves in `tasks` everything that must still be closed."""
    first_error: OSError | None = None
    while waiting or tasks:
        if waiting:
            tasks.add(asyncio.create_task(_connect(*waiting.pop(0), options)))
        timeout = head_start if waiting else None
        finished, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            error = task.exception()
            if error is None:
                tasks.remove(task)
                return task.result()
            if not isinstance(error, OSError):
                raise error
            first_error = first_error or error
        tasks -= finished
    raise first_error or OSError("the name has no address")


async def _connect(family: int, where: object, options: SocketOptions) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        options.apply(sock)
        await asyncio.get_running_loop().sock_connect(sock, where)  # type: ignore[arg-type]
    except BaseException:  # cancelled too: nobody else has the socket yet
        sock.close()
        raise
    return sock


async def _close(tasks: set[asyncio.Task[socket.socket]]) -> None:
    for task in tasks:
        task.cancel()
        task.add_done_callback(_discard)
    if tasks:
        await asyncio.wait(tasks)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """The one place where losers end: also when we are cancelled while waiting for them."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()

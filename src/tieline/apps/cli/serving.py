"""A server from its settings: started, announced, run until a signal, drained."""

import asyncio
import getpass
import logging
import sys
from pathlib import Path

from tieline.config import Config
from tieline.errors import InvalidArgument
from tieline.login.names import account_name
from tieline.processes.family import adopt_orphans
from tieline.server import Server
from tieline.transports.address import parse
from tieline.transports.loops import fastest

from .output import note
from .stopping import stop_signals
from .target import local_socket
from .welcome import Running, program, reachable, show

log = logging.getLogger("tieline.serve")


def run(config: Config) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises ConfigError and AddressError when it cannot start."""
    if config.allow_shell:
        adopt_orphans()
    with asyncio.Runner(loop_factory=fastest()) as runner:
        runner.run(_serve(config))


async def _serve(config: Config) -> None:
    server = Server(
        config.data,
        name=config.name,
        guests=config.guests,
        allow_plain=config.allow_plain,
        allow_shell=config.allow_shell,
        cert=config.cert,
        key=config.key,
        files_quota=config.files_quota,
        files_space=config.files_space,
    )
    with stop_signals(lambda: note("Finishing what is open; Ctrl-C again stops at once.")) as stop:
        async with server.serving(*config.listen, f"unix:{config.socket}") as addresses:
            show(await _running(server, config, addresses))
            log.info("serving on %s", ", ".join(addresses))
            await stop.wait()
            log.info("draining")
    log.info("stopped")


async def _running(server: Server, config: Config, addresses: list[str]) -> Running:
    owner, ticket = await _first_ticket(server, addresses)
    return Running(
        name=config.name,
        addresses=addresses,
        data=config.data,
        pin=server.certificate.pin,
        allow_plain=config.allow_plain,
        guests=config.guests,
        owner=owner,
        ticket=ticket,
        found=config.socket.absolute() == local_socket(),
        program=program(Path(sys.executable).parent, Path.cwd()),
    )


async def _first_ticket(server: Server, addresses: list[str]) -> tuple[str, str]:
    """The owner's name, and at the first start a ticket for another machine of theirs."""
    owner = await server.accounts.owner()
    if owner is not None:
        return owner, ""
    created = await server.accounts.create_owner(_owner_name())
    places = reachable(addresses) or [place for place in map(parse, addresses) if place.scheme != "unix"]
    if not places:
        return created.name, ""
    return created.name, await server.invite(created.name, can=None, where=places[0].where)


def _owner_name() -> str:
    try:
        return account_name(getpass.getuser().lower())
    except (InvalidArgument, OSError, KeyError):
        return "owner"

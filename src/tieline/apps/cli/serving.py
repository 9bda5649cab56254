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
    # Where programs read the log there is nothing else in it; and a ticket, least of all.
    silent = config.json_log and not sys.stderr.isatty()

    def stopping() -> None:
        if not silent:
            note("Finishing what is open; Ctrl-C again stops at once.")

    with stop_signals(stopping) as stop:
        async with server.serving(*config.listen, f"unix:{config.socket}") as addresses:
            owner, new = await _owner(server)
            if not silent:
                show(await _running(server, config, addresses, owner, new=new))
            log.info("serving on %s", ", ".join(addresses))
            await stop.wait()
            log.info("draining")
    log.info("stopped")


async def _running(server: Server, config: Config, addresses: list[str], owner: str, *, new: bool) -> Running:
    ticket = await _ticket(server, addresses, owner) if new else ""
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


async def _owner(server: Server) -> tuple[str, bool]:
    """The owner's name, and whether there was none before."""
    owner = await server.accounts.owner()
    if owner is not None:
        return owner, False
    return (await server.accounts.create_owner(_owner_name())).name, True


async def _ticket(server: Server, addresses: list[str], owner: str) -> str:
    """One for another machine of the owner's, if that could reach us."""
    places = reachable(addresses) or [place for place in map(parse, addresses) if place.scheme != "unix"]
    if not places:
        return ""
    # Before the network is up there is no address yet: then it is this machine's name.
    return await server.invite(owner, can=None, where=places[0].where if places[0].host else None)


def _owner_name() -> str:
    try:
        return account_name(getpass.getuser().lower())
    except (InvalidArgument, OSError, KeyError):
        return "owner"

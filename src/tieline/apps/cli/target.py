"""Which server a command talks to, and as whom.

The server or profile that was named; else the Unix socket of a server running here for this user; else the default
profile; else a ConfigError that says what to type.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from tieline import config, profiles
from tieline.errors import ConfigError
from tieline.profiles import Profile

from .options import Where


@dataclass(frozen=True)
class Target:
    """An address, and who to be there; without a profile the address itself or the operating system must tell."""

    address: str
    profile: Profile | None = None


def choose(where: Where) -> Target:
    """The target for what the person said, by the order above."""
    if where.server is not None:
        return Target(where.server, _profile_for(where.server, where.profile))
    named = where.profile or os.environ.get("TIELINE_PROFILE")
    if named:
        return _of_profile(named)
    here = local_socket()
    if answers(here):
        return Target(f"unix:{here}")
    if profiles.read(profiles.DEFAULT_NAME) is not None:
        return _of_profile(profiles.DEFAULT_NAME)
    if named_ones := profiles.names():
        raise ConfigError(
            "no server",
            f"none runs here; this machine knows one as {', '.join(named_ones)}: say --profile {named_ones[0]},"
            f" or set TIELINE_PROFILE={named_ones[0]}",
        )
    raise ConfigError(
        "no server", "none runs here and none was joined; start one with `tieline serve`, or `tieline join TICKET`"
    )


def local_socket() -> Path:
    """Where a server of this user would listen on this machine."""
    configured = os.environ.get(config.SETTINGS["data"].variable)
    return (Path(configured).expanduser() if configured else config.default_data()).absolute() / config.SOCKET_NAME


def answers(path: Path) -> bool:
    """Whether somebody listens on this Unix socket; a file left behind by a killed server does not count."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:  # a path too long for a socket is an OSError as well
            return False
        return True


def _of_profile(name: str) -> Target:
    profile = profiles.known(name)
    return Target(profile.address, profile)


def _profile_for(address: str, named: str | None) -> Profile | None:
    """The profile to use at an address that was typed: the named one, else one that was made for this place."""
    if named:
        return _of_profile(named).profile
    from tieline.transports.address import parse

    wanted = parse(address)
    if wanted.secret or wanted.scheme == "unix":
        return None
    for name in [profiles.DEFAULT_NAME, *profiles.names()]:
        profile = profiles.read(name)
        if profile is not None and parse(profile.address).where == wanted.where:
            return profile
    return None

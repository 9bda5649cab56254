"""Paths and patterns as people type them: what other programs would take is answered with how it is said here."""

import re

import click

_AS_SCP_SAYS = re.compile(r"(?:[^/:]*@)?([^/:@]+):(.*)", re.DOTALL)


def is_pattern(path: str) -> bool:
    """Whether it may stand for several paths, or machines. `files.globs` says the same, and takes a while to load."""
    return any(sign in path for sign in "*?[")


def remote(path: str) -> str:
    """The path as it is. `host:path` is refused with what to type: no name on a server holds a colon."""
    if said := _AS_SCP_SAYS.fullmatch(path):
        machine, there = said[1], f"/{said[2].lstrip('/')}"
        raise click.UsageError(
            f"{path} is how scp says it. On the server say {there}; on a machine that shares files, {there}"
            f" with --on {machine}"
        )
    return path


def only_a_name(name: str, source: str) -> str:
    """What --as says. A path is refused with what to type for it."""
    if "/" not in name:
        return name
    there = f"/{name.strip('/')}"
    raise click.UsageError(f"--as is a name and not a path; say where behind it: tieline put {source} {there}")

"""Secrets a person types or pipes in: never in an argument, where every user of the machine could read them."""

import sys

import click

from tieline.errors import ConfigError


def read_secret(prompt: str, *, confirm: bool = False) -> str:
    """Ask without showing what is typed; or take the first line of standard input when that is no terminal."""
    if sys.stdin.isatty():
        secret: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise ConfigError(prompt.lower(), "nothing was given")
    return secret

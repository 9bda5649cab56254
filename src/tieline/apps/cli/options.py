"""Options that several commands share, written once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
from click.shell_completion import CompletionItem

DEFAULT_TIMEOUT = 30.0

Command = Callable[..., Any]


@dataclass(frozen=True)
class Where:
    """Which server a command should talk to, as the person said it, and how long it may take."""

    server: str | None = None
    profile: str | None = None
    timeout: float = DEFAULT_TIMEOUT


def server_options(command: Command) -> Command:
    """Adds --server, --profile and --timeout; the command gets them as one `where`."""

    @click.option("--server", metavar="ADDRESS", help="Talk to the server at this address.")
    @click.option(
        "--profile", metavar="NAME", shell_complete=_profile_names, help="Be who this profile says, at its server."
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=DEFAULT_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for an answer.",
    )
    @wraps(command)
    def wrapper(*, server: str | None, profile: str | None, timeout: float, **others: Any) -> Any:
        return command(where=Where(server, profile, timeout), **others)

    return wrapper


def place_options(command: Command) -> Command:
    """Adds --server and --profile only, for commands that take as long as they take."""

    @click.option("--server", metavar="ADDRESS", help="Talk to the server at this address.")
    @click.option(
        "--profile", metavar="NAME", shell_complete=_profile_names, help="Be who this profile says, at its server."
    )
    @wraps(command)
    def wrapper(*, server: str | None, profile: str | None, **others: Any) -> Any:
        return command(where=Where(server, profile), **others)

    return wrapper


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs to read.")


def _profile_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from tieline import profiles

    return [CompletionItem(name) for name in profiles.names() if name.startswith(incomplete)]

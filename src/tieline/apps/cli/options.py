"""Options that several commands share, written once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import click
from click.shell_completion import CompletionItem

from .durations import Duration

DEFAULT_TIMEOUT = 30.0
DEFAULT_ROOM = "lobby"
"Where one talks who names no room."

Command = Callable[..., Any]


@dataclass(frozen=True)
class Where:
    """Which server a command should talk to, as the person said it, and how long it may take."""

    server: str | None = None
    profile: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    machine: str = ""
    "Another machine, whose files are meant; reached through the server."

    def method(self, name: str) -> str:
        """A method there, as it is called."""
        return f"{self.machine}/{name}" if self.machine else name


def server_options(command: Command) -> Command:
    """Adds --server, --profile and --timeout; the command gets them as one `where`."""

    @click.option("--server", metavar="ADDRESS", help="Talk to the server at this address.")
    @click.option(
        "--profile", metavar="NAME", shell_complete=_profile_names, help="Be who this profile says, at its server."
    )
    @click.option(
        "--timeout",
        type=Duration(),
        default=DEFAULT_TIMEOUT,
        metavar="SPAN",
        help=f"How long to wait for an answer, as 5s or 2m; else {DEFAULT_TIMEOUT:g}s.",
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


def files_options(command: Command) -> Command:
    """`server_options`, and --on for the files of another machine; it stands in `where` too."""

    @click.option(
        "--on",
        "machine",
        default="",
        metavar="MACHINE",
        shell_complete=_machines,
        help="On a machine that allows it (`tieline agent --allow files`), not on the server.",
    )
    @server_options
    @wraps(command)
    def wrapper(*, where: Where, machine: str, **others: Any) -> Any:
        return command(where=replace(where, machine=machine), **others)

    return wrapper


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs to read.")


def _profile_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from tieline import profiles

    return [CompletionItem(name) for name in profiles.names() if name.startswith(incomplete)]


def _machines(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from .completing import machines  # which asks who a Where is

    return machines(context, parameter, incomplete)

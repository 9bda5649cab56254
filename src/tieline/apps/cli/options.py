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
    "Another machine, reached through the server; empty for the server's own."

    def method(self, name: str) -> str:
        """A method there, as it is called."""
        return f"{self.machine}/{name}" if self.machine else name


timeout_option = click.option(
    "--timeout",
    type=Duration(),
    default=DEFAULT_TIMEOUT,
    metavar="SPAN",
    help=f"How long to wait for an answer, as 5s or 2m; else {DEFAULT_TIMEOUT:g}s.",
)


def place_options(command: Command) -> Command:
    """Adds --server and --profile; the command gets them as one `where`. For what takes as long as it takes."""

    @click.option("--server", metavar="ADDRESS", help="Talk to the server at this address.")
    @click.option(
        "--profile", metavar="NAME", shell_complete=_profile_names, help="Be who this profile says, at its server."
    )
    @wraps(command)
    def wrapper(*, server: str | None, profile: str | None, **others: Any) -> Any:
        return command(where=Where(server, profile), **others)

    return wrapper


def server_options(command: Command) -> Command:
    """`place_options`, and --timeout for all others; it stands in `where` too."""

    @place_options
    @timeout_option
    @wraps(command)
    def wrapper(*, where: Where, timeout: float, **others: Any) -> Any:
        return command(where=replace(where, timeout=timeout), **others)

    return wrapper


def on_option(about: str, name: str = "machine", **settings: Any) -> Callable[[Command], Command]:
    """Adds --on, which names another machine than the server's own."""
    return click.option("--on", name, shell_complete=_machines, help=about, **{"metavar": "MACHINE", **settings})


def machine_options(about: str, options: Callable[[Command], Command] = server_options) -> Callable[[Command], Command]:
    """Those `options`, and --on for a single machine; it stands in `where` too."""

    def add(command: Command) -> Command:
        @on_option(about, default="")
        @options
        @wraps(command)
        def wrapper(*, where: Where, machine: str, **others: Any) -> Any:
            return command(where=replace(where, machine=machine), **others)

        return wrapper

    return add


files_options = machine_options("On a machine that allows it (`tieline agent --allow files`), not on the server.")


def words(text: str) -> list[str]:
    """What is said by comma; a space does as well."""
    return text.replace(",", " ").split()


def can_option(about: str) -> Callable[[Command], Command]:
    """Adds --can; the command gets a list of scopes, or None."""

    def scopes(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
        return None if value is None else words(value)

    return click.option("--can", callback=scopes, metavar="SCOPES", help=about)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs to read.")


def _profile_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from tieline import profiles

    return [CompletionItem(name) for name in profiles.names() if name.startswith(incomplete)]


def _machines(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from .completing import machines  # which asks who a Where is

    return machines(context, parameter, incomplete)

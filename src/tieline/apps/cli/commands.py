"""The table of sub-commands. A command's file is imported when it is used, so a cold start stays fast."""

from importlib import import_module
from typing import NoReturn

import click

from tieline.version import __version__

# Command -> the module here that defines it under its own name; in the order `tieline --help` shows.
COMMANDS = {
    "serve": "serve",
    "join": "join",
    "chat": "chat",
    "say": "say",
    "tail": "tail",
    "rooms": "rooms",
    "who": "who",
    "run": "run",
    "machines": "machines",
    "agent": "agent",
    "shell": "shell",
    "sessions": "sessions",
    "audit": "audit",
    "call": "call",
    "methods": "methods",
    "put": "put",
    "get": "get",
    "sync": "sync",
    "ls": "ls",
    "rm": "rm",
    "mv": "mv",
    "mkdir": "mkdir",
    "df": "df",
    "token": "token",
    "invite": "invite",
    "accounts": "accounts",
    "allow": "allow",
    "revoke": "revoke",
    "password": "password",
    "status": "status",
    "doctor": "doctor",
    "gallery": "gallery",
    "completion": "completion",
}


class LazyGroup(click.Group):
    """A click group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(f"{__package__}.{module}"), module)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or ctx.resilient_parsing or name.startswith("-"):
            return super().resolve_command(ctx, args)
        if name == "help":  # what git and cargo have
            return super().resolve_command(ctx, [*args[1:2], "--help"]) if args[1:] else _help(ctx)
        from difflib import get_close_matches

        close = get_close_matches(name, COMMANDS, 3)
        more = f" Did you mean {' or '.join(close)}?" if close else ""
        raise click.UsageError(f"No such command {name!r}.{more}", ctx)


def _help(ctx: click.Context) -> NoReturn:
    click.echo(ctx.get_help())
    ctx.exit()


def examples(*lines: str) -> str:
    """An epilog for --help that keeps these lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


EPILOG = examples(
    "tieline serve                      start a server here",
    "tieline join TICKET                be known to a server elsewhere",
    "tieline chat                       talk in the lobby",
    "tieline say lobby 'build is green' from a script",
    "tieline tail lobby -f              watch",
    "tieline run -- make -j4            run a command there, as if it ran here",
    "tieline shell                      a terminal there, which survives the connection",
    "tieline COMMAND --help             more, with examples",
)


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="tieline %(version)s")
def tieline() -> None:
    """Rooms to talk in and typed functions to call, on one server on one port.

    A command talks to the server on this machine if one runs for you, else to the one you joined.
    """

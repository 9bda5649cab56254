"""The table of sub-commands. A command's file is imported when it is used, so a cold start stays fast."""

from importlib import import_module
from typing import NoReturn

import click

from tieline.version import __version__

SECTIONS = {
    "Start here": ("serve", "join", "doctor"),
    "Talk": ("chat", "say", "tail", "rooms", "who"),
    "Files": ("put", "get", "sync", "ls", "rm", "mv", "mkdir", "df", "token"),
    "Commands and machines": ("run", "shell", "sessions", "machines", "agent", "audit"),
    "Methods of programs": ("call", "methods", "gallery"),
    "Who may do what": ("invite", "accounts", "allow", "revoke", "password"),
    "This program": ("status", "completion"),
}
"In the order `tieline --help` shows. Each command is in a module here that has its name."
COMMANDS = [name for names in SECTIONS.values() for name in names]


class LazyGroup(click.Group):
    """A click group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"{__package__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                commands = [(name, self.get_command(ctx, name)) for name in names]
                limit = formatter.width - width - 6
                rows = [(name.ljust(width), one.get_short_help_str(limit)) for name, one in commands if one is not None]
                formatter.write_dl(rows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            sentence = f"No option {error.option_name} here: options of a command stand behind its name."
            raise click.UsageError(sentence, ctx) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) or ctx.resilient_parsing or name.startswith("-"):
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
    "tieline shell                      a terminal there, kept over lost links",
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

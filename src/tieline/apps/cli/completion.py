"""`tieline completion`: the script by which a shell completes commands, options, rooms, names, methods and paths."""

import click

from .commands import examples, tieline

_HOW = {
    "bash": 'eval "$(tieline completion bash)"        # in ~/.bashrc',
    "zsh": 'eval "$(tieline completion zsh)"         # in ~/.zshrc',
    "fish": "tieline completion fish | source        # in ~/.config/fish/config.fish",
}


@click.command(epilog=examples(*_HOW.values()))
@click.argument("shell", type=click.Choice(list(_HOW)), metavar="SHELL")
def completion(shell: str) -> None:
    """Print a completion script for a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click knows these three
    click.echo(kind(tieline, {}, "tieline", "_TIELINE_COMPLETE").source())

"""`tieline gallery`: the classic socket programs, ready to run. What they are is in apps/gallery, one file each."""

import click

from tieline.apps.gallery import NAMES, about, program

from .commands import examples
from .output import columns, folded


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples(
        "tieline gallery                                  what there is",
        "tieline gallery upper --help                     the options of one of them",
        "tieline gallery upper --listen tcp://127.0.0.1:0 port 0: any free one",
        "tieline gallery groupchat --listen tcp://:8888",
        "tieline gallery upload --into ~/uploads",
    ),
)
@click.argument("name", type=click.Choice(NAMES), required=False, metavar="[NAME]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[ITS OPTIONS]...")
def gallery(name: str | None, options: tuple[str, ...]) -> None:
    """The programs everybody writes when learning sockets, for the callers people already have.

    Without a name, lists them. One that runs prints the address it listens on first, and Ctrl-C ends it. Their source
    is short, and made to be copied: see `examples/`.
    """
    if name is None:
        for each in NAMES:
            for line in folded(f"{each:<15} {about(each)}", columns(), " " * 16):
                click.echo(line)
    else:
        program(name).main(options)

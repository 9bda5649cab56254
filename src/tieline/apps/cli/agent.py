"""`tieline agent`: this machine can be called through the server it joined, for as long as this runs."""

import click

from .commands import examples
from .options import Where, place_options

WORDS = {
    "run": "commands (`tieline run --on`)",
    "shell": "terminals (`tieline shell --on`)",
}


def _words(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    known = ", ".join(WORDS)
    words = [word for word in (value or "").replace(" ", "").split(",") if word]
    if not words:
        raise click.UsageError(f"say what others may do here: --allow with one or more of {known}")
    for word in words:
        if word not in WORDS:
            raise click.BadParameter(f"{word!r} is nothing one can be allowed here; there are {known}")
    return sorted(set(words))


@click.command(
    epilog=examples(
        "tieline agent --allow run",
        "tieline agent --allow run,shell --profile lab",
        "tieline machines                   who can be called, from anywhere",
    )
)
@click.option(
    "--allow",
    "words",
    callback=_words,
    metavar="WORD,…",
    help=f"What others may do here: {', '.join(f'{word}, {about}' for word, about in WORDS.items())}.",
)
@place_options
def agent(where: Where, words: list[str]) -> None:
    """Let others call this machine, under its device's name.

    It dials the server and opens no port here. When the connection is lost it comes back. Only accounts with the scope
    `shell` can run anything, as the user who runs this. Ctrl-C, or SIGTERM, ends it and what runs for others.
    """
    from .offering import run

    run(where, words)

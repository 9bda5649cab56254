"""`tieline agent`: this machine can be called through the server it joined, for as long as this runs."""

from pathlib import Path

import click

from .commands import examples
from .options import Where, place_options

WORDS = {
    "run": "commands (`tieline run --on`)",
    "shell": "terminals (`tieline shell --on`)",
    "files": "files of the folder --files (`tieline ls --on`, put, get, …)",
    "files.read": "the same, but changing nothing",
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
        "tieline agent --allow files --files /srv/data",
        "tieline machines                   who can be called, from anywhere",
    )
)
@click.option(
    "--allow",
    "words",
    callback=_words,
    metavar="WORD,…",
    help=f"What others may do here: {'; '.join(f'{word}: {about}' for word, about in WORDS.items())}.",
)
@click.option(
    "--files",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that others may use: all in it, and nothing outside.",
)
@place_options
def agent(where: Where, words: list[str], folder: Path | None) -> None:
    """Let others call this machine, under its device's name.

    It dials the server and opens no port here. When the connection is lost it comes back. Only accounts with the scope
    `shell` can run anything, as the user who runs this, and only those with `files.read` and `files.write` use files.
    Ctrl-C, or SIGTERM, ends it and what runs for others.
    """
    shares = [word for word in words if word.startswith("files")]
    if bool(shares) is not (folder is not None):
        raise click.UsageError("--allow files (or files.read) goes with --files DIR, the folder that others may use")
    if len(shares) > 1:
        raise click.UsageError("say --allow files or --allow files.read: the first is more than the second")
    from .offering import run

    run(where, words, folder)

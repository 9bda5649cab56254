"""`tieline df`: how much room there is for files."""

from typing import Any

import click

from .commands import examples
from .options import Where, json_option, server_options
from .output import clock, note, print_json, print_table, size
from .session import ask, run


@click.command(epilog=examples("tieline df", "tieline df --json | jq .disk_free"))
@server_options
@json_option
def df(where: Where, as_json: bool) -> None:
    """Show what your files take, what all take, and what is left.

    What came of interrupted uploads is kept for whoever puts the same again, and has a line of its own.
    """
    answer = run(ask(where, "files.usage"))
    if as_json:
        print_json(answer, pretty=True)
        return
    print_table(_rows(answer), ("", "FILES", "USED", "OF", "LEFT"), right=("FILES", "USED", "OF", "LEFT"))
    if answer["interrupted_files"]:
        until = clock(answer["interrupted_until"])
        note(
            f"Put the same again to go on with what was interrupted. It is kept until {until} or later; "
            "`tieline rm --interrupted` removes it now."
        )


def _rows(usage: dict[str, Any]) -> list[tuple[object, ...]]:
    interrupted = ("interrupted", usage["interrupted_files"], size(usage["interrupted"]), "-", "-")
    return [
        (usage["account"], usage["files"], *_room(usage["used"], usage["quota"])),
        *([interrupted] if usage["interrupted_files"] else []),
        ("all", usage["all_files"], *_room(usage["all_used"], usage["all_quota"])),
        ("disk", "", *_room(usage["disk_total"] - usage["disk_free"], usage["disk_total"])),
    ]


def _room(used: int, bound: int) -> tuple[str, str, str]:
    return (size(used), size(bound), size(max(0, bound - used))) if bound else (size(used), "-", "-")

"""`tieline methods`: what the server offers, or a machine."""

from collections.abc import Iterator
from typing import Any

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .completing import methods as complete_methods
from .options import Where, json_option, machine_options
from .output import columns, note, print_json
from .session import ask, run

Entry = dict[str, Any]


@click.command(
    epilog=examples(
        "tieline methods",
        "tieline methods chat.",
        "tieline methods --on lab-1         what another machine offers",
        "tieline methods --json | jq -r '.[] | select(.streams) | .name'",
        "tieline methods --openrpc > openrpc.json",
    )
)
@click.argument("prefix", default="", shell_complete=complete_methods)
@click.option("--openrpc", is_flag=True, help="Print the whole description of the server as an OpenRPC document.")
@machine_options("List what this machine offers, instead of the server.")
@json_option
def methods(where: Where, prefix: str, openrpc: bool, as_json: bool) -> None:
    """List the methods of the server, or of a machine, with their types.

    With a PREFIX only those that begin with it; `MACHINE/` is one as well.
    """
    machine = where.machine
    if not machine and "/" in prefix:
        machine, _, prefix = prefix.rpartition("/")
    if openrpc:
        if machine:
            raise click.UsageError("a machine describes its methods in words only: leave out --openrpc")
        print_json(run(ask(where, "server.methods")), pretty=True)
        return
    entries = [entry for entry in _entries(where, machine) if entry["name"].startswith(prefix)]
    if machine:
        entries = [{**entry, "name": f"{machine}/{entry['name']}"} for entry in entries]
    if as_json:
        print_json(entries, pretty=True)
        return
    for entry in entries:
        for line in lines(entry, columns()):
            click.echo(line)
    if not entries:
        note(f"There is no method that begins with {safe_text(prefix)}." if prefix else "It offers no methods.")


def _entries(where: Where, machine: str) -> list[Entry]:
    found: list[Entry] = run(
        ask(where, "machines.methods", machine=machine) if machine else ask(where, "server.methods", compact=True)
    )
    return found


def lines(entry: Entry, width: int | None = None) -> Iterator[str]:
    """How it is called, and below what it does; no wider than `width` where that can be."""
    name, signature = safe_text(entry["name"]), safe_text(entry["signature"])
    # A parameter stays on one line with its type and default.
    parts = [part.replace(" ", "\xa0") for part in f"{name}{signature}".split(", ")]
    first, *more = _wrapped(", ".join(parts).replace("\xa0->\xa0", " ->\xa0"), width, "", "    ")
    yield (click.style(name, bold=True) + first.removeprefix(name)).replace("\xa0", " ")
    yield from (line.replace("\xa0", " ") for line in more)
    needs = f"(needs {entry['scope']})" if entry["scope"] else ""
    yield from _wrapped(f"{safe_text(entry['about'])} {safe_text(needs)}".strip(), width, "  ", "  ")


def _wrapped(text: str, width: int | None, first: str, rest: str) -> list[str]:
    from textwrap import wrap

    if width is None:
        return [first + text] if text else []
    return wrap(text, max(width, 20), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)

"""`tieline doctor`: why can't I reach it."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from tieline.wire.safe_text import safe_text

from .commands import examples
from .exit_codes import ExitCode
from .options import Where, json_option, server_options
from .output import columns, folded, print_json

if TYPE_CHECKING:
    from .examination import Finding

_SIGNS = {"ok": ("ok", "green"), "warning": ("!!", "yellow"), "failed": ("NO", "red")}


@click.command(epilog=examples("tieline doctor", "tieline doctor lab.example:7788", "tieline doctor --json"))
@click.argument("address", required=False)
@server_options
@json_option
def doctor(where: Where, address: str | None, as_json: bool) -> int:
    """Find out why a server cannot be reached.

    Examines the one at ADDRESS, or the one that commands would use: name, network, port, certificate, login and
    clock, each with a plain sentence and what to do. Exits as a command would that failed for the same reason.
    """
    from .examination import examine
    from .target import choose

    target = choose(replace(where, server=address or where.server))
    found: list[Finding] = []
    for finding in examine(target, where.timeout):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json([asdict(finding) for finding in found], pretty=True)
    return next((finding.code for finding in found if finding.result == "failed"), ExitCode.OK)


def _show(finding: "Finding") -> None:
    sign, colour = _SIGNS[finding.result]
    # A pin has 64 characters, and is whole within the 80 columns of a usual terminal.
    indent = " " * min(16, (columns() or 80) // 4)
    first, *more = folded(f"{sign} {finding.step:<11}  {safe_text(finding.says)}", columns(), indent)
    click.echo(click.style(sign, fg=colour, bold=True) + first.removeprefix(sign))
    for line in more:
        click.echo(line)
    if finding.do:
        for line in folded(f"{indent}{safe_text(finding.do)}", columns(), indent):
            click.echo(line)

"""`tieline run`: a command on another machine, as if it ran here."""

import click

from .commands import examples
from .durations import Duration
from .options import Where, json_option, on_option, place_options
from .remote_path import is_pattern
from .session import run as run_loop


@click.command(
    epilog=examples(
        "tieline run -- uname -a",
        "tieline run --cwd /srv/app -- git pull",
        "tieline run --shell -- 'ls *.log | wc -l'",
        "tar c . | tieline run -- tar x -C /srv/app",
        'while read -r file; do tieline run -n -- wc -l "$file"; done < files',
        "tieline run --on 'lab-*' --on db-1 --group -- uptime",
        "tieline run --json -- df -h | jq -r .stdout",
    ),
    context_settings={"allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND [ARGUMENT]...")
@on_option(
    "Another machine than the server's own; a pattern such as 'lab-*' is several. May be repeated.",
    "targets",
    multiple=True,
)
@click.option("--jobs", type=click.IntRange(1, 256), default=16, show_default=True, help="How many machines at a time.")
@click.option("--group", is_flag=True, help="Show machines that said the same together, when all have ended.")
@json_option
@click.option("--timeout", type=Duration(), metavar="SPAN", help="End the command after so long.")
@click.option("--cwd", default="", metavar="DIR", help="Start in this folder, instead of the home folder.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated.")
@click.option("--shell", is_flag=True, help="Let sh read COMMAND: pipes, patterns, variables.")
@click.option("-n", "--no-stdin", is_flag=True, help="Read no standard input, as in a loop that reads it itself.")
@place_options
def run(
    where: Where,
    command: tuple[str, ...],
    targets: tuple[str, ...],
    jobs: int,
    group: bool,
    as_json: bool,
    timeout: float | None,
    cwd: str,
    variables: tuple[str, ...],
    shell: bool,
    no_stdin: bool,
) -> int:
    """Run a command there, as if it ran here.

    Standard input, output and errors are those of this command, byte for byte, and so is the exit code: 128 and the
    signal's number when a signal ended it, 124 when --timeout did, 126 or 127 when there is no such program, 255 when
    it could not be run or its end could not be known. Ctrl-C interrupts it; a second Ctrl-C gives up on it. When this
    command is gone, so is the other one, soon, with all that it started.

    On several machines each line stands behind its machine's name, standard input is not read, the exit codes are
    listed on standard error, and the largest is this command's. So it is with --json: one document for each machine,
    with `stdout`, `stderr` and `code`; the server's own is called ''.
    """
    from .running import Asked, run_here

    argv = ["sh", "-c", " ".join(command)] if shell else list(command)
    target = targets[0] if targets else ""
    asked = Asked(argv, target, timeout, cwd, dict(map(_variable, variables)), not no_stdin)
    if group and as_json:
        raise click.UsageError("--group is for people and --json for programs: choose one of them")
    if group and not targets:
        raise click.UsageError("--group goes with --on: it is for what several machines said")
    if group or as_json or len(targets) > 1 or is_pattern(target):
        from .many import run_on
        from .many_outputs import AsJson, Grouped, Prefixed

        shown = Grouped() if group else AsJson() if as_json else Prefixed()
        return run_loop(run_on(where, targets or [""], asked, jobs, shown))
    return run_loop(run_here(where, asked))


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--env")
    return name, value

"""How a transfer is shown: bars on a terminal, JSON lines for programs, and one summary line at the end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

from tieline.wire.safe_text import safe_text

from .exit_codes import ExitCode
from .output import ending, note, print_json, size

if TYPE_CHECKING:
    from tieline.files import Progress, Transferred

Report = Callable[["Progress"], None]

_JSON_PAUSE = 0.5
"Seconds between two lines of progress for a program."
_WIDE = 76
"Columns that a bar with bytes, rate and time takes, and a name that can be read."
_SHOWN_FAILURES = 20
"Failures said one by one; the rest is counted, and told in full by --json."


@contextmanager
def showing(as_json: bool) -> Iterator[Report | None]:
    """A function that is told how it goes, or None when nobody watches."""
    if as_json:
        yield _json_lines()
    elif sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _notes


def finish(done: "Transferred", as_json: bool, verb: str) -> int:
    """Say what was done; the exit code."""
    if as_json:
        _say("done", done)
    else:
        for failed in done.failed[:_SHOWN_FAILURES]:
            # What a server says of a path of its own mostly names it already.
            named = failed.path.startswith("/") and failed.path in failed.reason
            note(f"tieline: {'' if named else safe_text(failed.path) + ': '}{safe_text(failed.reason)}")
        for text in done.notes:
            note(safe_text(text))
        note(summary(done, verb))
    return ExitCode.FAILED if done.failed else ExitCode.OK


def summary(done: "Transferred", verb: str) -> str:
    """`put 3 files, 1.2 MiB, in 0.4 s (3.0 MiB/s); 2 were there already; 1 failed`."""
    rate = f" ({size(done.bytes / done.seconds)}/s)" if done.bytes and done.seconds else ""
    files = "1 file" if done.files == 1 else f"{done.files:,} files"
    text = f"{verb} {files}, {size(done.bytes)}, in {done.seconds:.1f} s{rate}"
    if done.skipped:
        text += f"; {done.skipped:,} {'was' if done.skipped == 1 else 'were'} there already"
    if done.failed:
        text += f"; {len(done.failed):,} failed"
    return text


def _notes(progress: "Progress") -> None:
    if progress.note:
        note(safe_text(progress.note))


def _json_lines() -> Report:
    told = 0.0

    def report(progress: "Progress") -> None:
        nonlocal told
        if progress.note or monotonic() - told >= _JSON_PAUSE:
            told = monotonic()
            with suppress(OSError):  # the transfer goes on; what is said of it at its end fails as well, and is told
                _say("progress", progress)

    return report


def _say(event: str, what: "Progress | Transferred") -> None:
    """One line for a program."""
    import msgspec

    print_json({"event": event, **msgspec.structs.asdict(what)})


@contextmanager
def _bars() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{size(task.speed)}/s" if task.speed else "")

    console = Console(stderr=True, highlight=False)
    # Where all of it does not fit, the time left is what people look for; the names take what remains.
    wide = console.width >= _WIDE
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    columns += [BarColumn(), DownloadColumn(binary_units=True), Speed()] if wide else [BarColumn(10)]
    room = min(32, console.width - (52 if wide else 20))
    with Bars(*columns, TimeRemainingColumn(compact=not wide), console=console, transient=True) as bars:
        whole = bars.add_task("all", total=None)
        one = bars.add_task("", total=None)

        def report(progress: "Progress") -> None:
            if progress.note:
                console.print(safe_text(progress.note), markup=False)
            of = f"{progress.files:,}" + (f" of {progress.total_files:,}" if progress.total_files is not None else "")
            bars.update(whole, description=f"{of} files", completed=progress.bytes, total=progress.total_bytes)
            name = ending(safe_text(progress.path), room)
            bars.update(one, description=name, completed=progress.path_bytes, total=progress.path_total or None)

        yield report


def say_stopped() -> None:
    """What Ctrl-C leaves."""
    note("Stopped. What came so far is kept; the same command goes on with it.")

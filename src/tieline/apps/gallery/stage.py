"""What the programs of the gallery share: options, running until Ctrl-C, and what the person at the keyboard types."""

import argparse
import asyncio
import shutil
import sys
import textwrap
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, NoReturn

from tieline.apps.cli.exit_codes import exit_code
from tieline.apps.cli.main import complain
from tieline.apps.cli.stdin import stdin_lines
from tieline.apps.cli.stopping import stop_signals
from tieline.errors import TielineError
from tieline.transports.loops import fastest
from tieline.wire.safe_text import safe_text

__all__ = ["announce", "forever", "now", "options", "run", "safe_text", "show", "stdin_lines"]


def options(name: str, about: str | None, listen: str) -> argparse.ArgumentParser:
    """The options of a program: `--listen`, and what it adds itself."""
    width = shutil.get_terminal_size().columns - 2
    paragraphs = [textwrap.fill(each, width) for each in (about or "").split("\n\n")]
    parser = argparse.ArgumentParser(
        prog=f"tieline gallery {name}",
        description="\n\n".join(paragraphs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    help = f"where callers come to, port 0 for any free one (default: {listen})"
    parser.add_argument("--listen", default=listen, metavar="ADDRESS", help=help)
    return parser


def run(program: Coroutine[Any, Any, None]) -> None:
    """Run it until it ends, or Ctrl-C or SIGTERM ends it. What it cannot begin with is one sentence on stderr."""
    try:
        with asyncio.Runner(loop_factory=fastest()) as runner:
            runner.run(_until_stopped(program))
    except (TielineError, OSError) as error:
        complain(error)
        sys.exit(exit_code(error))


async def _until_stopped(program: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(program)
    with stop_signals(task.cancel) as stop:
        try:
            await task
        except asyncio.CancelledError:
            if not stop.is_set():
                raise


def announce(address: str) -> None:
    """Where callers come to, on a line of its own: scripts read it."""
    print(address, flush=True)


async def forever() -> NoReturn:
    """Until somebody stops the program."""
    while True:
        await asyncio.Event().wait()


def show(text: str) -> None:
    """On this terminal, where what others sent may say anything and do nothing."""
    print(safe_text(text), flush=True)


def now() -> str:
    """2026-11-20 10:15:00, in this machine's zone."""
    return datetime.now().isoformat(" ", "seconds")

"""A command there with the standard input, outputs, signals and exit code of the process here."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tieline import commands
from tieline.errors import CallError, LinkError, NotFound, TielineError
from tieline.limits import MiB
from tieline.rpc.caller import Caller
from tieline.rpc.incoming import Incoming

from .descriptors import Sink, sink
from .options import Where
from .run_trouble import outcome
from .session import session
from .stdin import stdin_chunks

PATIENCE = 3.0
"Seconds. The link is asked for a sign of life when it was silent so long, and given up after twice that."
WINDOW = 1 * MiB
"Bytes of output on their way at most: fewer grants for the same bytes."


@dataclass(frozen=True)
class Asked:
    """What is to be run, where and how."""

    argv: list[str]
    target: str = ""
    timeout: float | None = None
    cwd: str = ""
    env: dict[str, str] | None = None
    stdin: bool = True


async def run_here(where: Where, asked: Asked) -> int:
    """Run it; the exit code for this process. What went wrong is said on stderr."""
    try:
        async with session(where, ping=PATIENCE, window=WINDOW) as client:
            return await _run(client, asked)
    except (TielineError, OSError) as error:
        return failed(*outcome(error, asked.timeout))


async def _run(client: Caller, asked: Asked) -> int:
    command = await commands.start(
        client,
        asked.argv,
        target=asked.target,
        cwd=asked.cwd,
        env=asked.env,
        input=_stdin() if asked.stdin and _has_stdin() else None,
        timeout=asked.timeout,
    )
    with _signals(command) as stopped:
        async with command:
            assert command.stderr is not None
            errors = asyncio.ensure_future(_copy(command.stderr, sink(2)))
            copying = asyncio.ensure_future(_copy_output(command, sink(1)))
            try:
                waited: list[asyncio.Future[Any]] = [copying, stopped]
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if stopped.done():
                    return 128 + stopped.result()
                ended, unread = copying.result()
                await errors
            finally:
                errors.cancel()
                copying.cancel()
                await asyncio.gather(errors, copying, return_exceptions=True)
    if ended.signal and not (unread and ended.signal == "SIGPIPE"):
        failed(f"the command was ended by {ended.signal}", ended.code)
    return ended.code


async def _copy_output(command: commands.Command, out: Sink) -> tuple[commands.Ended, bool]:
    """How it ended, and whether whoever reads our output went away before that."""
    unread = False
    try:
        async for piece in command.stdout():
            await out.write(piece)
    except BrokenPipeError:
        unread = True
        with suppress(NotFound):
            await command.unread()
    except OSError as error:  # a full disk, perhaps
        raise OSError(error.errno, error.strerror, "standard output") from error
    return await command.wait(), unread


async def _copy(source: Incoming[bytes], out: Sink) -> None:
    try:
        async for piece in source:
            await out.write(piece)
    except BrokenPipeError:
        await source.aclose()  # the command is told so when it writes more
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard error") from error


@contextmanager
def _signals(command: commands.Command) -> Iterator["asyncio.Future[int]"]:
    """Ctrl-C goes to the command, a second one ends the waiting, and so do the other signals that end programs."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    sent: list[asyncio.Task[None]] = []

    def interrupted() -> None:
        if sent:
            leave(signal.SIGINT)
        else:
            sent.append(loop.create_task(_interrupt(command)))

    def leave(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    leaving = (signal.SIGTERM, signal.SIGHUP)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    for number in leaving:
        loop.add_signal_handler(number, leave, number)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, *leaving):
            loop.remove_signal_handler(number)
        for task in sent:
            task.cancel()


async def _interrupt(command: commands.Command) -> None:
    with suppress(CallError, LinkError):
        await command.signal("INT")


def _has_stdin() -> bool:
    """Whether there is any to read: not when it is closed, nothing at all, or a terminal that is another job's."""
    try:
        found = os.fstat(0)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev:
            return False
        return not os.isatty(0) or os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


async def _stdin() -> AsyncIterator[bytes]:
    async for chunk in stdin_chunks():
        yield chunk


def failed(sentence: str, code: int) -> int:
    """Say it on stderr; the code is what it was given."""
    from .main import complain

    sys.stdout.flush()
    complain(TielineError(sentence))
    return code

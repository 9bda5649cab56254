"""One command on many machines: at most so many at a time, and what each of them said told apart."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

from tieline import commands
from tieline.errors import CallError, LinkError, NotFound, TielineError

from .exit_codes import ExitCode
from .machines import all_machines
from .options import Where
from .output import note, table
from .remote_path import is_pattern
from .run_trouble import outcome
from .running import Asked, failed
from .session import session
from .stopping import interrupts

if TYPE_CHECKING:
    from tieline.client import Client


@dataclass
class Result:
    """How it went on one machine. `about` is a sentence when there is more to say than the code."""

    machine: str
    code: int
    about: str = ""


class Shown(Protocol):
    """What becomes of what the machines say."""

    merge: bool
    "Whether errors come with the output."

    async def machine(self, name: str, command: commands.Command) -> None:
        """Read all that the command writes."""

    async def ended(self, result: Result) -> None:
        """All is read, or nothing more will come."""

    def finish(self, results: list[Result]) -> None:
        """That was the last machine."""


async def run_on(where: Where, targets: Sequence[str], asked: Asked, jobs: int, shown: Shown) -> int:
    """Run it on all of them; the largest exit code, 130 after Ctrl-C. When none could be asked, that is said."""
    try:
        async with session(where) as client:
            machines = await _machines(client, targets, where.timeout)
            run = _Run(client, asked, shown)
            results = await run.on(machines, jobs)
    except TielineError as error:
        return failed(*outcome(error, asked.timeout))
    shown.finish(results)
    _say(results)
    return ExitCode.INTERRUPTED if run.interrupted else max((result.code for result in results), default=0)


class _Run:
    def __init__(self, client: "Client", asked: Asked, shown: Shown) -> None:
        self.interrupted = False
        self._client = client
        self._asked = asked
        self._shown = shown
        self._open: set[commands.Command] = set()
        self._telling: set[asyncio.Task[None]] = set()

    async def on(self, machines: Sequence[str], jobs: int) -> list[Result]:
        """In the order of machines; those not begun when Ctrl-C came have none."""
        waiting = list(reversed(machines))
        results: dict[str, Result] = {}

        async def work() -> None:
            while waiting and not self.interrupted:
                name = waiting.pop()
                results[name] = await self._one(name)
                await self._shown.ended(results[name])

        workers = [asyncio.ensure_future(work()) for _ in range(min(jobs, len(machines)))]
        with interrupts(self._interrupt, lambda: [worker.cancel() for worker in workers]):
            done = await asyncio.gather(*workers, return_exceptions=True)
        for each in done:
            if isinstance(each, Exception):
                raise each
        await asyncio.gather(*self._telling, return_exceptions=True)
        return [results[name] for name in machines if name in results]

    async def _one(self, name: str) -> Result:
        asked = self._asked
        try:
            command = await commands.start(
                self._client,
                asked.argv,
                target=name,
                cwd=asked.cwd,
                env=asked.env,
                merge=self._shown.merge,
                timeout=asked.timeout,
            )
            async with command:
                self._open.add(command)
                try:
                    await self._shown.machine(name, command)
                    ended = await command.wait()
                finally:
                    self._open.discard(command)
        except (TielineError, OSError) as error:
            sentence, code = outcome(error, asked.timeout)
            return Result(name, code, sentence)
        return Result(name, ended.code, f"ended by {ended.signal}" if ended.signal else "")

    def _interrupt(self) -> None:
        """The first Ctrl-C is for what runs there."""
        self.interrupted = True
        for command in self._open:
            self._telling.add(asyncio.ensure_future(_tell(command)))


async def _tell(command: commands.Command) -> None:
    with suppress(CallError, LinkError):
        await command.signal("INT")


async def _machines(client: "Client", targets: Sequence[str], timeout: float) -> list[str]:
    """The machines that are meant, each once, in the order they were said."""
    found: dict[str, None] = {}
    listed: list[dict[str, Any]] = []
    if any(map(is_pattern, targets)):
        listed = [each for each in await all_machines(client, timeout) if _runs_commands(each)]
    for target in targets:
        if not is_pattern(target):
            found[target] = None
            continue
        names = [each["target"] for each in listed if _matches(each, target)]
        if not names:
            raise NotFound(f"no machine that is here and runs commands matches {target!r}; see: tieline machines")
        found.update(dict.fromkeys(names))
    return list(found)


def _matches(machine: dict[str, Any], pattern: str) -> bool:
    """A pattern without an account means only machines whose name alone means them, as a name without one does."""
    if "/" in pattern:
        return fnmatchcase(f"{machine['account']}/{machine['device']}", pattern)
    return "/" not in machine["target"] and fnmatchcase(machine["target"], pattern)


def _runs_commands(machine: dict[str, Any]) -> bool:
    return machine["here"] and "shell.run" in machine["methods"]


def _say(results: list[Result]) -> None:
    """The exit codes, on stderr; a single machine without a name has only one."""
    if not any(each.machine for each in results):
        return
    for line in table(
        [(each.machine, each.code, each.about) for each in results], ("MACHINE", "CODE", ""), right=("CODE",)
    ):
        note(line)

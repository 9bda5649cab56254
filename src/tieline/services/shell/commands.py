"""The methods shell.run, shell.errors and shell.signal: a command with its outputs, input, signals and exit.

A caller picks an id, and opens shell.run and shell.errors in one write: two streams, each with credit of its own.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

from tieline.errors import Conflict, InvalidArgument, NotFound, Overloaded
from tieline.login.identity import Identity
from tieline.processes.spawner import Process, Spawner
from tieline.rpc.handlers import Handlers
from tieline.rpc.incoming import Incoming
from tieline.rpc.peer import Peer
from tieline.services.shell.house import House
from tieline.services.shell.running import TOGETHER, Pipes, Running, refusal
from tieline.store.shell import Begun

TIDY_AFTER = 0.02
"""Seconds after which it is tidied up after commands that have ended well, all at once: done one by one, it keeps a
core busy on which their callers, or what they run next, could be running."""
SIGNALS = frozenset({"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "TSTP", "ALRM", "WINCH"})


class Commands:
    """All that run here. A command belongs to the account that started it."""

    def __init__(self, house: House, spawner: Spawner) -> None:
        self._house = house
        self._spawner = spawner
        self._running: dict[tuple[str, str], asyncio.Future[Running]] = {}
        self._untidy: list[Running] = []

    def install(self, handlers: Handlers) -> None:
        @handlers.method("shell.run", scope="shell")
        async def run(
            id: str,
            argv: list[str],
            input: AsyncIterator[bytes],
            peer: Peer,
            cwd: str = "",
            env: dict[str, str] = {},  # noqa: B006
            errors: bool = False,
        ) -> AsyncIterator[Any]:
            """Run a command; its output as bytes, then how it ended. No shell reads `argv`. It starts in `cwd` (else
            the home folder). With `errors`, what it writes there is for `shell.errors` with the same id (else it comes
            with the output). It is ended, with all it has started, when the caller stops listening."""
            key = (peer.identity.account, id)
            self._enter(key)
            running: Running | None = None
            try:
                running = await self._start(peer.identity, argv, input, cwd, env, errors)
                self._running[key].set_result(running)
                yield running.output
                yield await running.end()
            finally:
                self._running.pop(key).cancel()
                if running is not None and running.complete:
                    self._tidy_later(running)
                elif running is not None:
                    running.finish(self._house.patience)

        @handlers.method("shell.errors", scope="shell")
        async def errors(id: str, peer: Peer) -> AsyncIterator[Any]:
            """What a command of the caller writes to its standard error. A command waits while nobody reads it."""
            running = await self._find(peer, id)
            yield running.errors()
            await running.exit(TOGETHER)

        @handlers.method("shell.unread", scope="shell")
        async def unread(id: str, peer: Peer) -> None:
            """Want no more of a command's output, but its end: it is told so when it writes, as by a closed pipe."""
            (await self._find(peer, id)).close_output()

        @handlers.method("shell.signal", scope="shell")
        async def signal_(id: str, name: str, peer: Peer) -> None:
            """Send a signal (INT, TERM, KILL, …) to the process group of one of the caller's commands."""
            number = signal_number(name)
            (await self._find(peer, id)).process.signal(number)

    def tidy(self) -> None:
        """What has ended is forgotten, and what it left behind is ended."""
        untidy, self._untidy = self._untidy, []
        for running in untidy:
            running.finish(self._house.patience)

    def _tidy_later(self, running: Running) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(self._told, running)  # its caller first
        self._untidy.append(running)
        if len(self._untidy) == 1:
            loop.call_later(TIDY_AFTER, self.tidy)

    def _enter(self, key: tuple[str, str]) -> None:
        """Before anything waits: its other calls come right behind."""
        if not 8 <= len(key[1]) <= 64 or key in self._running:
            raise Conflict("a command's id is 8 to 64 random characters, and not in use")
        self._running[key] = asyncio.get_running_loop().create_future()

    def _enter_house(self, who: Identity) -> str:
        try:
            return self._house.enter(who)
        except Overloaded:
            if not self._untidy:
                raise
        self.tidy()
        return self._house.enter(who)

    async def _start(
        self,
        who: Identity,
        argv: list[str],
        source: AsyncIterator[bytes],
        cwd: str,
        env: dict[str, str],
        errors: bool,
    ) -> Running:
        self._house.check_size(argv, env)
        variables = self._house.environment(env)
        folder = self._house.folder(cwd, variables)
        path = await self._house.program(who, argv[0], folder, variables["PATH"], env)
        mark = self._enter_house(who)
        now = int(time.time() * 1000)
        self._house.audit.begun(Begun(mark, who.account, who.device, who.address, "", "run", argv, folder, now))
        try:
            process, ours = self._spawn(mark, path, argv, variables, folder, errors, _has_input(source))
        except BaseException:  # whatever it was: the audit was told that it begins
            self._house.did_not_start(mark)
            raise
        self._house.started(mark, process)
        running = Running(process, ours, source, self._spawner.watch)
        process.gone.add_done_callback(lambda _: self._gone(running))
        return running

    def _spawn(
        self, mark: str, path: str, argv: list[str], env: dict[str, str], folder: str, errors: bool, has_input: bool
    ) -> tuple[Process, tuple[int, int, int]]:
        """The process, and our ends of its pipes: what is to be made of them can wait until it runs."""
        try:
            pipes = Pipes.make(errors=errors, input=has_input)
        except OSError as error:
            raise Overloaded(f"no command can be started now: {error.strerror}") from error
        try:
            process = self._spawner.start(mark, path, argv, env, folder=folder, descriptors=pipes.theirs)
        except OSError as error:
            pipes.close_ours()
            raise refusal(error) from error
        finally:
            pipes.close_theirs()
        return process, pipes.ours

    def _gone(self, running: Running) -> None:
        if not running.complete:
            self._told(running)

    def _told(self, running: Running) -> None:
        self._house.audit.ended(running.process.mark, int(time.time() * 1000), running.outcome, running.out)

    async def _find(self, peer: Peer, id: str) -> Running:
        running = self._running.get((peer.identity.account, id))
        if running is None:
            raise _unknown()
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():  # it could not be started
                raise _unknown() from None
            raise


def _unknown() -> NotFound:
    return NotFound("no command of yours has this id here; it may have ended")


def _has_input(source: AsyncIterator[bytes]) -> bool:
    return not (isinstance(source, Incoming) and source.over and not source.waiting)


def signal_number(name: str) -> int:
    """The number of a signal that callers may send. Raises InvalidArgument."""
    short = name.upper().removeprefix("SIG")
    if short not in SIGNALS:
        raise InvalidArgument(f"name: {name[:20]!r} is not a signal that can be sent: {', '.join(sorted(SIGNALS))}")
    return int(signal.Signals[f"SIG{short}"])

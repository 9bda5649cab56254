"""The rules of the house: who may run what here, how many at once, how large, and how long an end may take."""

import os
import secrets
import signal
import time
from collections.abc import Mapping, Sequence

from tieline.errors import Denied, InvalidArgument, LimitExceeded, NotFound, Overloaded
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.processes.ending import Steps
from tieline.processes.spawner import Process
from tieline.services.shell.environment import check, check_narrowed, find, kept
from tieline.services.shell.records import Audit, Rules
from tieline.store.shell import OWN

AT_ONCE = ((0.0, int(signal.SIGTERM)), (0.0, int(signal.SIGHUP)), (0.4, int(signal.SIGKILL)))
"For those whose right was taken back: all of it is gone within a second."


class House:
    """One per machine. `name` is what rules call it."""

    def __init__(self, limits: Limits, rules: Rules, audit: Audit, name: str = OWN) -> None:
        self.limits = limits
        self.audit = audit
        self._rules = rules
        self._name = name
        self._here: dict[str, tuple[Identity, Process | None]] = {}
        self._own = kept(os.environ)

    async def visits(self, who: Identity) -> bool:
        """Whether this caller's rule lets him do anything here."""
        return (await self._rules.rule(who.account)).covers(self._name)

    async def program(self, who: Identity, name: str, folder: str, path: str, given: Mapping[str, str]) -> str:
        """The file of the command `name`. Raises Denied when this caller may not run it here, or not with the
        environment he has `given` it, and NotFound."""
        rule = await self._rules.rule(who.account)
        if not rule.covers(self._name):
            raise Denied(f"{who.account} may run commands on {', '.join(rule.targets or ()) or 'no machine'}, not here")
        file = find(name, folder, path)
        if rule.commands is not None and _placed(file) not in _files(rule.commands, path):
            raise Denied(f"{who.account} may run {', '.join(rule.commands) or 'no commands'} here, and not {name[:80]}")
        if rule.commands is not None:
            check_narrowed(given)
        return file

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What is kept of this machine's, and what the caller gave. Raises Denied, InvalidArgument."""
        check(given)
        return {**self._own, **given}

    def folder(self, cwd: str, environment: Mapping[str, str]) -> str:
        """Where a command starts: below the home folder, unless its caller says otherwise. Users that run services may
        have none; then it is /, as in a login (login(1))."""
        home = environment["HOME"]
        if cwd:
            return os.path.join(home, os.path.expanduser(cwd))
        return home if os.path.isdir(home) else "/"

    def check_size(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Raises InvalidArgument, LimitExceeded."""
        if not argv or not argv[0]:
            raise InvalidArgument("argv: which command?")
        if any("\0" in word for word in argv):
            raise InvalidArgument("argv: an argument cannot contain a NUL")
        size = sum(map(_size, argv)) + sum(_size(name) + _size(value) for name, value in env.items())
        if size > self.limits.command_line:
            raise LimitExceeded("the command line with its environment", got=size, limit=self.limits.command_line)

    def enter(self, who: Identity) -> str:
        """Room for one more, and its mark; `leave()` when all of it is gone. Raises Overloaded."""
        here = [each.account for each, process in self._here.values() if process is None or not process.gone.done()]
        theirs = here.count(who.account)
        if theirs >= self.limits.commands_per_account:
            raise Overloaded(f"{who.account} has {theirs} commands running here; let some end first")
        if len(here) >= self.limits.commands:
            raise Overloaded(f"{len(here)} commands run on this machine; let some end first")
        mark = secrets.token_hex(8)
        self._here[mark] = who, None
        return mark

    def did_not_start(self, mark: str) -> None:
        """It was to run, and the audit was told so."""
        self.audit.ended(mark, int(time.time() * 1000), "it could not be started", 0)
        self.leave(mark)

    def started(self, mark: str, process: Process) -> None:
        """It runs; it leaves by itself when nothing of it is left."""
        self._here[mark] = self._here[mark][0], process
        process.gone.add_done_callback(lambda _: self.leave(mark))

    def leave(self, mark: str) -> None:
        self._here.pop(mark, None)

    def end(self, account: str, device: str | None = None) -> None:
        """What an account runs here, or one device of it, is over: it is not allowed any more."""
        self._rules.forget(account)
        for who, process in list(self._here.values()):
            if process is not None and who.account == account and device in (None, who.device):
                process.end(AT_ONCE)

    def __len__(self) -> int:
        """Commands of which something is left."""
        return len(self._here)

    def hang_up(self) -> Steps:
        """How a session is ended."""
        grace = self.limits.command_grace
        return (0.0, signal.SIGHUP), (grace / 2, signal.SIGTERM), (grace, signal.SIGKILL)

    def patience(self) -> Steps:
        """How a command is ended that nobody waits for."""
        grace = self.limits.command_grace
        return (0.0, signal.SIGINT), (grace / 2, signal.SIGTERM), (grace, signal.SIGKILL)


def _size(text: str) -> int:
    return len(os.fsencode(text)) + 1


def _placed(file: str) -> str:
    """The file by the true name of its folder, but its own name: there are programs that do what they are called."""
    return os.path.join(os.path.realpath(os.path.dirname(file)), os.path.basename(file))


def _files(commands: Sequence[str], path: str) -> set[str]:
    files = set()
    for command in commands:
        try:
            files.add(_placed(find(command, "/", path)))
        except (Denied, NotFound):
            continue  # not installed here
    return files

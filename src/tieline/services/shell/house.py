"""The rules of the house: who may run what here, how many at once, how large, and how long an end may take."""

import os
import secrets
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tieline.errors import Denied, InvalidArgument, LimitExceeded, NotFound, Overloaded
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.processes.ending import Steps
from tieline.services.shell.environment import check, find, kept
from tieline.services.shell.records import Audit, Rules

OWN = "server"
"What rules call the machine of the server itself."


class House:
    """One per machine. `name` is what rules call it."""

    def __init__(self, limits: Limits, rules: Rules, audit: Audit, name: str = OWN) -> None:
        self.limits = limits
        self.audit = audit
        self._rules = rules
        self._name = name
        self._count: Counter[str] = Counter()
        self._own = kept(os.environ)

    def program(self, who: Identity, name: str, folder: str, path: str) -> str:
        """The file of the command `name`. Raises Denied when this caller may not run it here, NotFound."""
        rule = self._rules.rule(who.account)
        if rule.targets is not None and not any(fnmatchcase(self._name, each) for each in rule.targets):
            raise Denied(f"{who.account} may run commands on {', '.join(rule.targets) or 'no machine'}, not here")
        file = find(name, folder, path)
        if rule.commands is not None and file not in _files(rule.commands, path):
            raise Denied(f"{who.account} may run {', '.join(rule.commands) or 'no commands'} here, and not {name[:80]}")
        return file

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What is kept of this machine's, and what the caller gave. Raises Denied, InvalidArgument."""
        check(given)
        return {**self._own, **given}

    def check_size(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Raises InvalidArgument, LimitExceeded."""
        if not argv or not argv[0]:
            raise InvalidArgument("argv: which command?")
        if any("\0" in word for word in argv):
            raise InvalidArgument("argv: an argument cannot contain a NUL")
        size = sum(map(_size, argv)) + sum(_size(name) + _size(value) for name, value in env.items())
        if size > self.limits.command_line:
            raise LimitExceeded("the command line with its environment", got=size, limit=self.limits.command_line)

    def enter(self, account: str) -> str:
        """Room for one more, and its name; `leave()` when all of it is gone. Raises Overloaded."""
        if self._count[account] >= self.limits.commands_per_account:
            raise Overloaded(f"{account} has {self._count[account]} commands running here; let some end first")
        if self._count.total() >= self.limits.commands:
            raise Overloaded(f"{self._count.total()} commands run on this machine; let some end first")
        self._count[account] += 1
        return secrets.token_hex(8)

    def leave(self, account: str) -> None:
        self._count[account] -= 1
        if not self._count[account]:
            del self._count[account]

    @property
    def count(self) -> int:
        """Commands of which something is left."""
        return self._count.total()

    def patience(self) -> Steps:
        """How a command is ended that nobody waits for."""
        grace = self.limits.command_grace
        return (0.0, signal.SIGINT), (grace / 2, signal.SIGTERM), (grace, signal.SIGKILL)


def _size(text: str) -> int:
    return len(os.fsencode(text)) + 1


def _files(commands: Sequence[str], path: str) -> set[str]:
    files = set()
    for command in commands:
        try:
            files.add(find(command, "/", path))
        except (Denied, NotFound):
            continue  # not installed here
    return files

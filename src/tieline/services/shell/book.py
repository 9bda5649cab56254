"""The server's book of commands: who ran what, and who may run what. The methods audit.* and shell.rule, shell.narrow.

Commands of the server's own machine are entered directly, those of machines that joined as the machines report them.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from tieline.errors import Denied, InvalidArgument, TielineError
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.store.shell import Begun, Entry, Rule, ShellStore

log = logging.getLogger("tieline.shell")
ANSWERED = 0.1
"Seconds. What narrowing waits before it ends what an account has open, its caller's own link maybe among it."
PAGE = 1000
"Entries in one answer at most."


class Book:
    """`cut(account)` ends what an account has open, so that it comes back under a new rule."""

    def __init__(self, store: ShellStore, limits: Limits, cut: Callable[[str], object]) -> None:
        self._store = store
        self._limits = limits
        self._cut = cut
        self._rules: dict[str, Rule] = {}
        self._writing: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Learn the rules, and close the entries of a server that was killed."""
        self._rules = await self._store.rules()
        self._enter(self._store.commands_lost(_now()))

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    # -- for the service on this machine -------------------------------------------------------------------------

    async def rule(self, account: str) -> Rule:
        return self._rules.get(account, Rule())

    def begun(self, begun: Begun) -> None:
        self._write(lambda: self._store.command_begun(begun, self._limits.audit))

    def ended(self, id: str, at: int, outcome: str, out: int, target: str = "") -> None:
        self._write(lambda: self._store.command_ended(id, target, at, outcome[:200], out))

    def permit(self, who: Identity, target: str, method: str) -> None:
        """For the switchboard: raises Denied when the caller's rule does not cover this machine."""
        rule = self._rules.get(who.account)
        if rule is not None and method.startswith("shell.") and not rule.covers(target):
            where = ", ".join(rule.targets or ()) or "no machine"
            raise Denied(f"{who.account} may run commands on {where}, not on {target}")

    # -- methods -------------------------------------------------------------------------------------------------

    def install(self, handlers: Handlers, is_machine: Callable[[Peer], bool]) -> None:
        """`is_machine(peer)`: whether that link offers methods to others, and so may report what ran there."""

        def target_of(peer: Peer) -> str:
            if not is_machine(peer):
                raise InvalidArgument("only a machine that can be called reports what runs there")
            return f"{peer.identity.account}/{peer.identity.device}"

        @handlers.method("audit.list")
        async def list_(
            peer: Peer, account: str | None = None, before: int | None = None, limit: int = 100
        ) -> list[Entry]:
            """Commands that were run, the newest first; only admins see those of others. `before` is a number."""
            if not peer.identity.may("admin"):
                account = peer.identity.account
            return await self._store.commands(account=account, before=before, limit=max(1, min(limit, PAGE)))

        @handlers.method("audit.begun")
        def begun(entry: Begun, peer: Peer) -> None:
            """For machines: a command was started here."""
            self.begun(_reported(entry, target_of(peer)))

        @handlers.method("audit.ended")
        def ended(id: str, at: int, outcome: str, out: int, peer: Peer) -> None:
            """For machines: it has ended."""
            self.ended(id, at, outcome, out, target_of(peer))

        @handlers.method("shell.rule")
        async def rule(account: str, peer: Peer) -> Rule:
            """For machines, and for admins: what an account's scope `shell` is narrowed to."""
            if not peer.identity.may("admin"):
                target_of(peer)
            return await self.rule(account)

        @handlers.method("shell.narrow", scope="admin")
        async def narrow(account: str, targets: list[str] | None = None, commands: list[str] | None = None) -> None:
            """Narrow an account's scope `shell` to these machines (names or patterns; `server` is the server's own) and
            programs; None: to nothing less than all. What it has open ends."""
            await self.narrow(account, _rule(targets, commands))

    async def narrow(self, account: str, rule: Rule) -> None:
        """Durable when it returns."""
        self._rules[account] = rule
        await self._store.set_rule(account, rule)
        asyncio.get_running_loop().call_later(ANSWERED, self._cut, account)

    # -- small things --------------------------------------------------------------------------------------------

    def _write(self, work: Callable[[], "asyncio.Future[None]"]) -> None:
        try:
            self._enter(work())
        except TielineError as error:  # the store is closed already
            log.error("the audit could not be written: %s", error)

    def _enter(self, writing: "asyncio.Future[None]") -> None:
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("the audit could not be written: %s", error)


def _reported(entry: Begun, target: str) -> Begun:
    kind = "session" if entry.kind == "session" else "run"
    cut = [word[:1000] for word in entry.argv[:100]]
    return Begun(
        entry.id[:64],
        entry.account[:64],
        entry.device[:64],
        entry.address[:100],
        target,
        kind,
        cut,
        entry.folder[:1000],
        entry.at,
    )


def _rule(targets: list[str] | None, commands: list[str] | None) -> Rule:
    for names in (targets or [], commands or []):
        if len(names) > 100 or any(not 0 < len(name) <= 200 for name in names):
            raise InvalidArgument("a rule has up to 100 names of up to 200 characters")
    return Rule(None if targets is None else tuple(targets), None if commands is None else tuple(commands))


def _now() -> int:
    return int(time.time() * 1000)

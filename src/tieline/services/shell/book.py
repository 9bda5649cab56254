"""The server's book of commands: who ran what, and who may run what. The methods audit.* and shell.rule, shell.narrow.

Commands of the server's own machine are entered directly, those of machines that joined as the machines report them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

import msgspec

from tieline.errors import Denied, InvalidArgument
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.login.names import NoAccount
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.services.shell.notes import Notes
from tieline.store.shell import Begun, CommandEntry, Count, Rule, ShellStore

log = logging.getLogger("tieline.shell")
ANSWERED = 0.1
"Seconds. What narrowing waits before it ends what an account has open, its caller's own link maybe among it."
COMMAND_LINE, FOLDER = 1000, 500
"Characters of a command line and of a folder that are kept."
PAGE = 1000
"Entries in one answer at most."


class Book:
    """`exists(account)`: whether there is one. `cut(account)` ends what it has open, so that it comes back under a new
    rule. `away(machines)`: which of them are not here, and when each was last. `folder` is where notes are kept that
    outlive a killed server."""

    def __init__(
        self,
        store: ShellStore,
        limits: Limits,
        exists: Callable[[str], Awaitable[bool]],
        cut: Callable[[str], object],
        away: Callable[[Collection[str]], Awaitable[Mapping[str, int]]],
        folder: Path | None = None,
    ) -> None:
        self._store = store
        self._notes = Notes(store, limits.audit, folder)
        self._limits = limits
        self._exists = exists
        self._cut = cut
        self._away = away
        self._callers: dict[str, set[str]] = {}  # by machine: which accounts have called its shell.* here
        self._rules: dict[str, Rule] = {}

    async def start(self) -> None:
        """Learn the rules, and close the entries of a server that was killed."""
        self._rules = await self._store.rules()
        await self._notes.start()

    def lost(self, target: str) -> None:
        """A new program offers commands on this machine: what an earlier one did not see the end of, nobody will."""
        self._notes.lost(target)

    async def close(self) -> None:
        """Wait for what is to be written."""
        await self._notes.close()

    # -- for the service on this machine -------------------------------------------------------------------------

    async def rule(self, account: str) -> Rule:
        return self._rules.get(account, Rule())

    def forget(self, account: str) -> None:
        pass  # what is known here is what holds

    def begun(self, begun: Begun) -> None:
        if len(begun.folder) > FOLDER or sum(map(len, begun.argv)) + len(begun.argv) > COMMAND_LINE:
            begun = msgspec.structs.replace(begun, argv=_cut(begun.argv), folder=begun.folder[:FOLDER])
        self._notes.begun(begun)

    def ended(self, id: str, at: int, outcome: str, out: int, target: str = "") -> None:
        self._notes.ended((id, target, at, outcome[:200], out))

    def permit(self, who: Identity, target: str, method: str) -> None:
        """For the switchboard: raises Denied when the caller's rule does not cover this machine."""
        if not method.startswith("shell."):
            return
        rule = self._rules.get(who.account)
        if rule is not None and not rule.covers(target):
            where = ", ".join(rule.targets or ()) or "no machine"
            raise Denied(f"{who.account} may run commands on {where}, not on {target}")
        if method in ("shell.run", "shell.open"):
            self._callers.setdefault(target, set()).add(who.account)

    # -- methods -------------------------------------------------------------------------------------------------

    def install(self, handlers: Handlers, is_machine: Callable[[Peer], bool]) -> None:
        """`is_machine(peer)`: whether that link offers methods to others, and so may report what ran there."""

        def machine(peer: Peer, account: str) -> str:
            """The machine that speaks of an account: that has to have called it, through this server."""
            target = f"{peer.identity.account}/{peer.identity.device}"
            if not is_machine(peer) or account not in self._callers.get(target, ()):
                raise Denied("only a machine reports what was run there, and only of accounts that have called it")
            return target

        @handlers.method("audit.list")
        async def list_(
            peer: Peer, account: str | None = None, before: Count | None = None, limit: int = 100
        ) -> list[CommandEntry]:
            """Commands that were run, the newest first; only admins see those of others. `before` is a number.

            Fewer than there are when they are long: ask again with the number of the last."""
            if not peer.identity.may("admin"):
                if account not in (None, peer.identity.account):
                    raise Denied("only admins see which commands others ran")
                account = peer.identity.account
            await self._notes.written()
            entries = await self._store.commands(account=account, before=before, limit=max(1, min(limit, PAGE)))
            return await self._with_lost(_page(entries, self._limits.page_bytes))

        @handlers.method("audit.begun")
        def begun(entry: Begun, peer: Peer) -> None:
            """For machines: a command was started here."""
            self.begun(_reported(entry, machine(peer, entry.account)))

        @handlers.method("audit.ended")
        def ended(id: str, at: Count, outcome: str, out: Count, peer: Peer) -> None:
            """For machines: it has ended."""
            if not is_machine(peer):
                raise Denied("only a machine reports what was run there")
            self.ended(id, at, outcome, out, f"{peer.identity.account}/{peer.identity.device}")

        @handlers.method("shell.rule")
        async def rule(account: str, peer: Peer) -> Rule:
            """For machines, and for admins: what an account's scope `shell` is narrowed to."""
            if not peer.identity.may("admin"):
                machine(peer, account)
            return await self.rule(account)

        @handlers.method("shell.narrow", scope="admin")
        async def narrow(
            account: str, peer: Peer, targets: list[str] | None = None, commands: list[str] | None = None
        ) -> None:
            """Narrow an account's scope `shell` to these machines (names or patterns; `server` is the server's own) and
            programs; None: to nothing less than all. What it has open ends."""
            await self.narrow(account, _rule(targets, commands))
            what = "anything" if commands is None else ", ".join(commands) or "nothing"
            where = "any machine" if targets is None else ", ".join(targets) or "none"
            log.info("%s lets %s run %s on %s", peer.identity, account, what, where)

    async def _with_lost(self, entries: list[CommandEntry]) -> list[CommandEntry]:
        """Of what has no end, whose machine is away: `runs` would be more than anybody knows."""
        away = await self._away({each.begun.target for each in entries if each.ended is None} - {""})
        return [
            msgspec.structs.replace(each, heard=max(away[each.begun.target], each.begun.at))
            if each.ended is None and each.begun.target in away
            else each
            for each in entries
        ]

    async def narrow(self, account: str, rule: Rule) -> None:
        """Durable when it returns. Raises NoAccount."""
        if not await self._exists(account):
            raise NoAccount(account)
        self._rules[account] = rule
        await self._store.set_rule(account, rule)
        asyncio.get_running_loop().call_later(ANSWERED, self._cut, account)


def _reported(entry: Begun, target: str) -> Begun:
    kind = "session" if entry.kind == "session" else "run"
    return msgspec.structs.replace(
        entry,
        id=entry.id[:64],
        account=entry.account[:64],
        device=entry.device[:64],
        address=entry.address[:100],
        target=target,
        kind=kind,
    )


def _cut(argv: list[str]) -> list[str]:
    """As much of a command line as tells what it was."""
    kept: list[str] = []
    left = COMMAND_LINE
    for word in argv:
        if left <= 0:
            kept.append("…")
            break
        kept.append(word if len(word) <= left else word[:left] + "…")
        left -= len(word) + 1
    return kept


def _page(entries: list[CommandEntry], most: int) -> list[CommandEntry]:
    """The first of them that fit."""
    size = 0
    for number, entry in enumerate(entries):
        size += 4 * (sum(map(len, entry.begun.argv)) + len(entry.begun.folder)) + 500
        if size > most and number:
            return entries[:number]
    return entries


def _rule(targets: list[str] | None, commands: list[str] | None) -> Rule:
    for names in (targets or [], commands or []):
        if len(names) > 100 or any(not 0 < len(name) <= 200 for name in names):
            raise InvalidArgument("a rule has up to 100 names of up to 200 characters")
    return Rule(None if targets is None else tuple(targets), None if commands is None else tuple(commands))

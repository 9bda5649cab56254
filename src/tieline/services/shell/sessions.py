"""The methods of terminal sessions: shell.open, attach, resize, sessions, share and close.

A session belongs to the account that opened it, and goes on when its caller vanishes.
"""

import asyncio
import os
import secrets
import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tieline.errors import Denied, NotFound, Overloaded, Unavailable
from tieline.login.identity import Identity
from tieline.processes.spawner import Process, Spawner
from tieline.processes.terminal import SHELL, on_terminal, open_terminal
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.services.shell.house import House
from tieline.services.shell.recording import Recording
from tieline.services.shell.running import outcome, refusal
from tieline.services.shell.session import Session, SessionInfo
from tieline.store.shell import Begun

ENDED_FOR = 60.0
"Seconds a session that has ended can still be looked at: whoever lost his link gets the last of it."
SWEEP = 5.0
"Seconds between two looks for sessions that nobody wants any more."
_LOGIN = frozenset({"bash", "zsh", "ksh", "fish"})
"Shells that know -l, by which they read their user's profile, as after any login."


class Sessions:
    """All sessions here. `recordings` is the folder for those that are recorded; None: none can be."""

    def __init__(self, house: House, spawner: Spawner, recordings: Path | None) -> None:
        self._house = house
        self._spawner = spawner
        self._recordings = recordings
        self._sessions: dict[str, Session] = {}
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    def install(self, handlers: Handlers) -> None:
        @handlers.method("shell.open", scope="shell")
        async def open_(
            peer: Peer,
            argv: list[str] = [],  # noqa: B006
            cwd: str = "",
            env: dict[str, str] = {},  # noqa: B006
            term: str = "dumb",
            rows: int = 24,
            columns: int = 80,
            watchable: bool = False,
            record: bool = False,
        ) -> SessionInfo:
            """Start a program (none: a login shell) on a terminal of its own. Nobody looks at it yet: `shell.attach`.

            `watchable` lets others with the scope `shell` look on. `record` keeps an asciicast in the data folder."""
            options = (term, rows, columns, watchable, record)
            return (await self._open(peer.identity, argv, cwd, env, *options)).info

        @handlers.method("shell.attach", scope="shell")
        async def attach(
            id: str,
            keys: AsyncIterator[bytes],
            peer: Peer,
            position: int | None = None,
            watch: bool = False,
            rows: int = 0,
            columns: int = 0,
        ) -> AsyncIterator[Any]:
            """Drive a session of one's own, or `watch` one that may be watched: what it prints behind `position`.

            First says at which position the bytes begin, and again whenever some were skipped. The bytes of `keys` are
            typed. Ends with how the program ended, or with why one left."""
            session = self._find(id)
            session.permit(peer.identity.account, watch=watch)
            if session.account != peer.identity.account and not await self._house.visits(peer.identity):
                raise Denied(f"{peer.identity.account} may do nothing on this machine")
            if not watch and rows > 0 and columns > 0:
                session.resize(rows, columns)
                if position is None:
                    session.redraw()
            async for piece in session.look(position, str(peer.identity), drives=not watch, keys=keys):
                yield piece

        @handlers.method("shell.resize", scope="shell")
        def resize(id: str, rows: int, columns: int, peer: Peer) -> None:
            """The terminal of one's session has this size now."""
            self._own(id, peer).resize(rows, columns)

        @handlers.method("shell.sessions", scope="shell")
        async def sessions(peer: Peer) -> list[SessionInfo]:
            """One's sessions, and those one may watch; admins see all."""
            account, all_ = peer.identity.account, peer.identity.may("admin")
            looks = await self._house.visits(peer.identity)
            return [
                each.info
                for each in self._sessions.values()
                if all_ or each.account == account or (looks and each.watchable)
            ]

        @handlers.method("shell.share", scope="shell")
        def share(id: str, watchable: bool, peer: Peer) -> None:
            """Let others with the scope `shell` look on, or not any more."""
            self._own(id, peer).share(watchable)

        @handlers.method("shell.close", scope="shell")
        def close(id: str, peer: Peer) -> None:
            """End one's session and all that runs in it. Admins may end those of others."""
            session = self._find(id) if peer.identity.may("admin") else self._own(id, peer)
            session.process.end(self._house.hang_up())

    async def close(self) -> None:
        """The spawner has ended what ran in them."""
        self._sweeping.cancel()
        await asyncio.gather(self._sweeping, return_exceptions=True)
        for session in list(self._sessions.values()):
            await session.close()

    # -- inside --------------------------------------------------------------------------------------------------

    async def _open(
        self,
        who: Identity,
        argv: list[str],
        cwd: str,
        env: dict[str, str],
        term: str,
        rows: int,
        columns: int,
        watchable: bool,
        record: bool,
    ) -> Session:
        variables = self._house.environment({"TERM": term[:64], **env})
        argv = argv or _login_shell(variables)
        self._house.check_size(argv, variables)
        folder = self._house.folder(cwd, variables)
        path = await self._house.program(who, argv[0], folder, variables["PATH"], env)
        id, now = secrets.token_hex(4), int(time.time() * 1000)
        info = SessionInfo(id, who.account, who.device, argv, now, "", 0, watchable, rows, columns, 0)
        # All that may fail comes before the program runs: one that is in no list could be ended by nobody.
        recording = self._record(f"{id}-{now}", rows, columns, argv, term) if record else None
        mark = ""
        try:
            mark = self._house.enter(who)
            self._house.audit.begun(Begun(mark, who.account, who.device, who.address, "", "session", argv, folder, now))
            process, ends = self._spawn(mark, path, argv, variables, folder, (rows, columns))
        except BaseException:  # whatever it was: the audit was told that it begins
            if mark:
                self._house.did_not_start(mark)
            if recording is not None:
                recording.close()
            raise
        self._house.started(mark, process)
        session = self._sessions[id] = Session(info, process, ends, self._ended, self._spawner.watch, recording)
        return session

    def _spawn(
        self, mark: str, path: str, argv: list[str], env: dict[str, str], folder: str, size: tuple[int, int]
    ) -> tuple[Process, tuple[int, int]]:
        """The process, and our end of its terminal twice: to read and to write."""
        try:
            ours, theirs = open_terminal(*size)
        except OSError as error:
            raise Overloaded(f"no terminal can be opened now: {error.strerror}") from error
        typing = -1
        try:
            typing = os.dup(ours)
            line = on_terminal(theirs, path, argv[1:])
            process = self._spawner.start(mark, SHELL, line, env, folder=folder, descriptors=(theirs, theirs, theirs))
        except OSError as error:
            for descriptor in (ours, typing):
                if descriptor >= 0:
                    os.close(descriptor)
            raise refusal(error) from error
        finally:
            os.close(theirs)
        return process, (ours, typing)

    def _record(self, name: str, rows: int, columns: int, argv: list[str], term: str) -> Recording:
        if self._recordings is None:
            raise NotFound("this machine has no folder for recordings")
        try:
            return Recording(self._recordings / f"{name}.cast", rows, columns, shlex.join(argv), term)
        except OSError as error:
            raise Unavailable(f"the session cannot be recorded: {error.strerror}") from error

    def _ended(self, session: Session) -> None:
        assert session.ended is not None
        how = outcome(session.ended)
        self._house.audit.ended(session.process.mark, int(time.time() * 1000), how, session.out)
        asyncio.get_running_loop().call_later(ENDED_FOR, self._sessions.pop, session.id, None)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for session in list(self._sessions.values()):
                if session.ended is None and session.idle > self._house.limits.session_detached:
                    session.process.end(self._house.hang_up())

    def _find(self, id: str) -> Session:
        session = self._sessions.get(id)
        if session is None:
            raise NotFound(f"no session {id[:20]!r} here; it may have ended", {"session": id[:20]})
        return session

    def _own(self, id: str, peer: Peer) -> Session:
        session = self._find(id)
        session.permit(peer.identity.account, watch=False)
        return session


def _login_shell(variables: dict[str, str]) -> list[str]:
    shell = variables.get("SHELL") or SHELL
    return [shell, "-l"] if os.path.basename(shell) in _LOGIN else [shell]

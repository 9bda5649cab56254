"""Who may do what where: the one place that says so, for methods, lanes and HTTP alike.

`/` is shared by all who hold the scopes; `/rooms/ROOM/` is for those who may chat, and a room of two for the two;
`/people/NAME/` is its owner's. Everybody else has a letter box there, `/people/NAME/inbox/SELF/`: new files in, nothing
out, so that nobody finds out what else NAME has. Guests have no files.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from tieline.errors import CallError, Denied, InvalidArgument
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.login.names import NoAccount, account_name, room_name
from tieline.store.chat import pair_of, pair_room
from tieline.store.files import names
from tieline.store.files.names import Parts, shown

Want = Literal["list", "read", "write", "remove"]
"list and read a folder or file; write: make or replace it; remove it, or rename it away."

READ, WRITE = "files.read", "files.write"
ROOMS, PEOPLE, INBOX = "rooms", "people", "inbox"
ASKING = 10.0
"Seconds a thread waits for the loop to look up an account."


class Spaces:
    """`accounts()` gives the names of all accounts that are not revoked."""

    folders: tuple[str, ...] = (ROOMS, PEOPLE)
    "What is always there."

    def __init__(self, accounts: Callable[[], Awaitable[Iterable[str]]], limits: Limits = DEFAULT) -> None:
        self._accounts = accounts
        self._limits = limits
        self._known: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """On the loop, once: threads may ask from now on."""
        self._loop = asyncio.get_running_loop()

    async def admit(self, identity: Identity, path: str, want: Want) -> Parts:
        """The parts of a path that this caller may use so. Raises InvalidArgument, Denied, NoAccount."""
        parts = names.parse(path, self._limits)
        try:
            self.check(identity, parts, want)
        except NoAccount:
            await self._learn()
            self.check(identity, parts, want)
        return parts

    def admit_in_thread(self, identity: Identity, path: str, want: Want) -> Parts:
        """The same, blocking, for any thread but the loop's."""
        parts = names.parse(path, self._limits)
        try:
            self.check(identity, parts, want)
        except NoAccount:
            assert self._loop is not None
            asyncio.run_coroutine_threadsafe(self._learn(), self._loop).result(ASKING)
            self.check(identity, parts, want)
        return parts

    def check(self, identity: Identity, parts: Parts, want: Want) -> None:
        """Raises Denied, or NoAccount for a letter box of nobody we know (yet: `admit` looks again)."""
        _check_scope(identity, parts, want)
        if not parts:
            return
        _check_spelling(parts[0])
        if parts[0] == ROOMS:
            self._check_room(identity, parts, want)
        elif parts[0] == PEOPLE:
            self._check_person(identity, parts, want)

    def is_space(self, parts: Parts) -> bool:
        """Whether this is a room's or a person's folder: it is there as soon as something is put into it."""
        return len(parts) == 2 and parts[0] in self.folders

    def new_only(self, identity: Identity, parts: Parts) -> bool:
        """Whether this caller may put new files there and replace none: it is somebody else's letter box."""
        return len(parts) > 1 and parts[0] == PEOPLE and parts[1] != identity.account

    def visible(self, identity: Identity, parts: Parts) -> bool:
        """Whether an entry of a folder that this caller may list is shown there."""
        if len(parts) != 2 or parts[0] not in (ROOMS, PEOPLE):
            return True
        try:
            self.check(identity, parts, "list")
        except CallError:
            return False
        return True

    def _check_room(self, identity: Identity, parts: Parts, want: Want) -> None:
        if not identity.may("chat"):
            raise Denied(identity.refusal("reaching the files of rooms", "chat"))
        if len(parts) == 1:
            _only_listed(parts, want)
            return
        pair = pair_of(parts[1])
        if pair is None:
            room_name(parts[1])
        elif parts[1] != pair_room(*pair) or identity.account not in pair:
            raise Denied("the files of direct messages are for the two who write them")
        else:
            for name in pair:
                account_name(name)
        _check_inside(parts, want)

    def _check_person(self, identity: Identity, parts: Parts, want: Want) -> None:
        if len(parts) == 1:
            _only_listed(parts, want)
            return
        owner = account_name(parts[1])
        if owner == identity.account:
            _check_inside(parts, want)
            return
        box = letter_box(owner, identity.account)
        if want != "write" or len(parts) <= len(box) or parts[: len(box)] != box:
            raise Denied(f"{shown(parts[:2])} is {owner}'s; what you may is put new files into {shown(box)}/")
        if owner not in self._known:
            raise NoAccount(owner)

    async def _learn(self) -> None:
        self._known = frozenset(await self._accounts())


class OneSpace(Spaces):
    """A single folder, which all who hold the scopes share: that of a machine that joined."""

    folders = ()

    def __init__(self, limits: Limits = DEFAULT) -> None:
        super().__init__(_nobody, limits)

    def check(self, identity: Identity, parts: Parts, want: Want) -> None:
        """Raises Denied."""
        _check_scope(identity, parts, want)

    def new_only(self, identity: Identity, parts: Parts) -> bool:
        return False

    def visible(self, identity: Identity, parts: Parts) -> bool:
        return True


async def _nobody() -> tuple[str, ...]:
    return ()


def letter_box(owner: str, sender: str) -> Parts:
    """Where somebody's files for somebody else go."""
    return (PEOPLE, owner, INBOX, sender)


def _check_scope(identity: Identity, parts: Parts, want: Want) -> None:
    scope = READ if want in ("list", "read") else WRITE
    if identity.guest:
        raise Denied("guests have no files here; ask for an account")
    if not identity.may(scope):
        raise Denied(identity.refusal(f"to {want} files", scope))
    if not parts and want != "list":
        raise Denied("/ itself can only be listed")


def _check_spelling(first: str) -> None:
    # On a disk that ignores case, /People/bob would be bob's letter box without its rules.
    for space in (ROOMS, PEOPLE):
        if first != space and names.key(first) == space:
            raise InvalidArgument(f"write /{space} in lower case")


def _only_listed(parts: Parts, want: Want) -> None:
    if want != "list":
        raise Denied(f"{shown(parts)} itself can only be listed; use a folder in it")


def _check_inside(parts: Parts, want: Want) -> None:
    if len(parts) == 2 and want in ("write", "remove"):
        raise Denied(f"{shown(parts)} itself is always there, and a folder; use a name in it")

"""What callers do with files, each step of it allowed by `Spaces` and done by `Tree` in a thread of the files' own.

Methods, lanes and the HTTP door all come through here. The loop never waits for the disk.
"""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from tieline.errors import Denied, NotFound, Unavailable
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.services.files.digests import Catalogue as DigestCatalogue
from tieline.services.files.digests import Digests
from tieline.services.files.entries import Abandoned, File, FileList, Reading, Usage, told
from tieline.services.files.housekeeping import Catalogue as HousekeepingCatalogue
from tieline.services.files.housekeeping import Housekeeping
from tieline.services.files.spaces import READ, WRITE, Spaces
from tieline.services.files.threads import Threads
from tieline.store.files.catalogue import Sums
from tieline.store.files.facts import Facts, Kind
from tieline.store.files.names import Parts, parse, shown
from tieline.store.files.quota import Quota
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.tree import Opened, Tree

log = logging.getLogger("tieline.files")
_Files = list[File]


class Catalogue(DigestCatalogue, HousekeepingCatalogue, Protocol):
    """What is needed of the store."""

    def forget_from_thread(self, parts: Parts) -> Future[None]: ...

    def moved_from_thread(self, source: Parts, target: Parts) -> Future[None]: ...


class Files:
    """One per server, from `start()` to `close()`. Paths come as text; errors are CallErrors."""

    def __init__(
        self, tree: Tree, catalogue: Catalogue, spaces: Spaces, quota: Quota, *, limits: Limits = DEFAULT
    ) -> None:
        self.tree = tree
        self.spaces = spaces
        self.quota = quota
        self._catalogue = catalogue
        self._limits = limits
        self.threads = Threads()
        self._digests = Digests(catalogue, self.threads.unhurried)
        self.housekeeping = Housekeeping(tree, catalogue, quota, self.threads.unhurried)

    async def start(self, *, survey: bool = True) -> None:
        """Make the spaces, learn what is used, delete what an earlier run had still to delete. Without a `survey` what
        came by hand is not counted."""
        self.spaces.start()
        for space in self.spaces.folders:
            await self.threads.keep("", self.tree.make, (space,), parents=True)
        await self.housekeeping.start(survey=survey)

    async def close(self) -> None:
        """Wait for what is being done on the disk; long work stops at its next step."""
        await self._digests.close()
        await self.housekeeping.close()
        await self.threads.close()

    async def read(self, identity: Identity, fd: int, size: int, offset: int) -> bytes:
        """Bytes of an open file."""
        return await self.threads.look(identity.account, os.pread, fd, size, offset)

    # -- looking -------------------------------------------------------------------------------------------------

    async def list(self, identity: Identity, path: str, after: str = "", limit: int = 1000) -> FileList:
        """A page of a folder; of a file or link, a page with just that."""
        parts = await self.spaces.admit(identity, path, "list")
        try:
            page = await self.threads.look(identity.account, self.tree.page, parts, after, limit)
        except NotFound:
            if self.spaces.is_space(parts):  # it is there as soon as something is put into it
                return FileList(shown(parts), [], None)
            found = await self.threads.look(identity.account, self.tree.stat, parts)
            if found.kind == "folder" or path.endswith("/"):
                raise
            return FileList(shown(parts[:-1]), await self._told(parts[:-1], [found]), None)
        entries = [entry for entry in page.entries if self.spaces.visible(identity, (*parts, entry.name))]
        return FileList(shown(parts), await self._told(parts, entries), page.next, page.unnamed)

    async def stat(self, identity: Identity, path: str) -> File:
        """What lies at a path."""
        parts = await self.spaces.admit(identity, path, "list")
        try:
            found = await self.threads.look(identity.account, self.tree.stat, parts)
        except NotFound:
            if not self.spaces.is_space(parts):
                raise
            return File(parts[1], "folder", 0, 0, 0o755)
        return (await self._told(parts[:-1], [found]))[0]

    async def open(self, identity: Identity, path: str) -> Reading:
        """A file, for reading; close its `fd`. Raises Conflict for a folder."""
        parts = await self.spaces.admit(identity, path, "read")
        since = int(time.time() * 1000)
        work = asyncio.ensure_future(self.threads.look(identity.account, self.tree.open, parts))
        try:
            opened = await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close_unclaimed)
            raise
        try:
            known = (await self._catalogue.known([shown(parts)])).get(shown(parts))
        except BaseException:  # cancelled too: nobody else has the file yet
            os.close(opened.fd)
            raise
        digest = known.digest if known is not None and known.holds(opened.facts) else None
        return Reading(shown(parts), parts, opened, digest, since)

    async def digest(self, reading: Reading) -> bytes:
        """The digest of an open file, found by reading it when nobody knows it yet."""
        return reading.digest or await self._digests.of(reading.parts, reading.opened, reading.since)

    def find_digest(self, reading: Reading) -> None:
        """The same for whoever asks next time."""
        if reading.digest is None:
            self._digests.begin(reading.parts, reading.opened, reading.since)

    async def usage(self, identity: Identity, area: StagingArea) -> Usage:
        """What the caller's files take, what lies in `area` of those interrupted, and all files, and the disk."""
        if identity.guest or not (identity.may(READ) or identity.may(WRITE)):
            raise Denied(identity.refusal("to see how much room is left", READ))
        space = await self.threads.look(identity.account, self.tree.space)
        sums = await self._catalogue.sums()
        held = await self.threads.look(identity.account, area.held, identity.account)
        mine = sums.get(identity.account, Sums(0, 0))
        return Usage(
            identity.account,
            mine.bytes,
            mine.files,
            self.quota.each,
            sum(each.bytes for each in sums.values()),
            sum(each.files for each in sums.values()),
            self.quota.all,
            space.free,
            space.total,
            held.bytes,
            held.files,
            int((held.oldest + area.keep_for) * 1000) if held.files else 0,
        )

    # -- changing ------------------------------------------------------------------------------------------------

    async def make(self, identity: Identity, path: str, *, parents: bool = False) -> None:
        """Make a folder; with `parents`, what lacks on the way too, and it may be there already."""
        parts = await self.spaces.admit(identity, path, "write")
        await self.threads.look(identity.account, self.quota.one_more)
        await self._make_space(identity, parts)
        await self.threads.keep(identity.account, self.tree.make, parts, parents=parents)

    async def remove(self, identity: Identity, path: str, *, whole: bool = False, seen: Reading | None = None) -> Kind:
        """Remove a file, a link or an empty folder; with `whole`, a folder with all in it. Returns what it was. Raises
        Conflict when that would be another file than the one `seen`."""
        parts = await self.spaces.admit(identity, path, "remove")
        if path.endswith("/"):
            # A file is no folder: NotFound.
            await self.threads.look(identity.account, lambda: self.tree.folder(parts).close())

        def remove() -> tuple[Kind, Future[None]]:
            with self.tree.in_order:
                removed = self.tree.remove(parts, whole=whole, expected=seen.facts if seen else None)
                return removed.kind, self._catalogue.forget_from_thread(parts)

        kind, forgotten = await self.threads.keep(identity.account, remove)
        await self._done(forgotten)
        if kind == "folder" and whole:
            self.housekeeping.empty_trash()
        return kind

    async def move(self, identity: Identity, source: str, target: str, *, replace: bool = False) -> str:
        """Rename; a `target` that is a folder, or ends in a slash, is where it goes under its old name. Returns its new
        path. Moving between spaces takes the right to remove there and to write here."""
        old = await self.spaces.admit(identity, source, "remove")
        new = await self._target(identity, old, target)
        await self._make_space(identity, new)
        replace = replace and not self.spaces.new_only(identity, new)

        def move() -> Future[None]:
            with self.tree.in_order:
                self.tree.move(old, new, replace=replace)
                return self._catalogue.moved_from_thread(old, new)

        await self._done(await self.threads.keep(identity.account, move))
        return shown(new)

    async def abandon(self, identity: Identity, area: StagingArea) -> Abandoned:
        """What came of the caller's interrupted uploads goes away, but for what is on its way this moment."""
        if identity.guest or not identity.may(WRITE):
            raise Denied(identity.refusal("to remove interrupted uploads", WRITE))
        held = await self.threads.keep(identity.account, area.forget, identity.account)
        return Abandoned(held.bytes, held.files)

    # -- inside --------------------------------------------------------------------------------------------------

    async def _done(self, told: Future[None]) -> None:
        """What was done on the disk is done, also when that is so full that the catalogue cannot be told: an entry of
        what is not there is not believed, and a survey finds it. And who removes something makes room."""
        try:
            await asyncio.wrap_future(told)
        except Unavailable as error:
            log.warning("the catalogue was not told of a change: %s", error)
            self.housekeeping.survey.soon()

    async def _target(self, identity: Identity, source: Parts, path: str) -> Parts:
        parts = parse(path, self._limits)
        within = path.endswith("/") or self.spaces.is_space(parts)
        if not within and parts != source and not self.spaces.new_only(identity, parts):
            try:
                within = (await self.threads.look(identity.account, self.tree.stat, parts)).kind == "folder"
            except NotFound:
                pass
        target = (*parts, source[-1]) if within else parts
        return await self.spaces.admit(identity, shown(target), "write")

    async def _make_space(self, identity: Identity, parts: Parts) -> None:
        """The folder of a room or person, and a letter box in it, comes to be with the first that is put into it."""
        space = parts[:4] if self.spaces.new_only(identity, parts) else parts[:2]
        if len(parts) > len(space) and self.spaces.is_space(parts[:2]):
            await self.threads.keep(identity.account, self.tree.make, space, parents=True)

    async def _told(self, folder: Parts, entries: Sequence[Facts]) -> _Files:
        paths = {entry.name: shown((*folder, entry.name)) for entry in entries if entry.kind == "file"}
        known = await self._catalogue.known(list(paths.values())) if paths else {}
        return [told(entry, known.get(paths.get(entry.name, ""))) for entry in entries]


def _close_unclaimed(done: "asyncio.Future[Opened]") -> None:
    if not done.cancelled() and done.exception() is None:
        os.close(done.result().fd)

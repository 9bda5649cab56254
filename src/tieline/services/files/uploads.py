"""Files put by callers who send plain bytes (HTTP): staged, hashed, made durable and published as those of lanes are.

The disk works in threads of the files' own. Nothing is visible before `finish()` has returned. What was interrupted is
kept for its sender, who says where to go on; what failed is gone when `close()` has returned.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import msgspec

from tieline.errors import CallError, Conflict, Denied, InvalidArgument, NotFound, Unavailable
from tieline.limits import MiB
from tieline.login.identity import Identity
from tieline.services.files.entries import Reading
from tieline.services.files.files import Files
from tieline.store.files.facts import Facts
from tieline.store.files.names import Parts, shown
from tieline.store.files.publish import Parcel, Publisher
from tieline.store.files.quota import Reservation
from tieline.store.files.staging import Staging
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.trouble import telling

T = TypeVar("T")
MODE = 0o644
KEPT_FROM = MiB
"Bytes. Less is sent anew sooner than asked for."
GIVING_WAY = 10.0
"Seconds that an upload may take to end when its sender goes on with it by another request."


class Stored(msgspec.Struct, frozen=True):
    """A file is on the disk and in its place. `replaced`: there was one before."""

    digest: bytes
    replaced: bool
    note: str = ""


class Ways(Protocol):
    """What is needed of the transfers."""

    area: StagingArea

    def publisher(self) -> Publisher: ...


class Uploads:
    """One per server."""

    def __init__(self, files: Files, ways: Ways) -> None:
        self._files = files
        self._ways = ways
        self._going_on: dict[tuple[str, Parts], list[Upload]] = {}

    async def begin(
        self,
        identity: Identity,
        path: str,
        size: int | None,
        *,
        keep: bool = False,
        start: int = 0,
        leave: Callable[[], None] = lambda: None,
    ) -> "Upload":
        """An upload to this path, of so many bytes if that is known; with `keep` only where nothing is.

        With a `start`, one that was interrupted is gone on with there; `leave` is called when that happens to this one.
        Whatever can be known before the first byte is told now. Close it in any case. Raises Conflict, whose data has
        the `offset` to go on at, when `start` does not fit.
        """
        parts = await self._files.spaces.admit(identity, path, "write")
        if not parts or path.endswith("/"):
            raise InvalidArgument("put a file under a name: the path ends in a folder's slash")
        replace = not keep and not self._files.spaces.new_only(identity, parts)
        upload = Upload(self._files, self._ways, identity.account, parts, replace, leave)
        going_on = self._going_on.setdefault((identity.account, parts), [])
        before = [one for one in going_on if one.size == size]
        going_on.append(upload)
        try:
            if start:
                await _all_give_way(before, parts)
            await upload._begin(size, start)
        except BaseException:  # cancelled too: nobody else has the upload yet
            await self.end(upload)
            raise
        return upload

    async def end(self, upload: "Upload", *, keep: bool = False) -> None:
        """It is finished, or is not going to be: with `keep` its sender may go on with it. Fine to call twice."""
        try:
            await upload._close(keep=keep)
        finally:
            place = (upload.account, upload.parts)
            left = self._going_on.get(place, [])
            if upload in left:
                left.remove(upload)
            if not left:
                self._going_on.pop(place, None)

    async def offset(self, identity: Identity, path: str) -> int | None:
        """How much there is of a file that this caller has begun to put there; None without one."""
        try:
            parts = await self._files.spaces.admit(identity, path, "write")
        except (Denied, NotFound, InvalidArgument):
            return None
        if (here := self._going(identity.account, parts)) is not None:
            return here
        kept = await self._files.threads.look(identity.account, self._ways.area.kept, parts, identity.account)
        # It may have been taken up again while we looked.
        return kept.here if kept is not None else self._going(identity.account, parts)

    def _going(self, account: str, parts: Parts) -> int | None:
        """How much has come of what is just being put there."""
        for upload in self._going_on.get((account, parts), ()):
            if upload.offset >= KEPT_FROM:
                return upload.offset
        return None


async def _all_give_way(uploads: "list[Upload]", parts: Parts) -> None:
    """They are of a sender who has lost them, and comes again."""
    for upload in uploads:
        if not upload.finishing:
            upload.leave()
    try:
        async with asyncio.timeout(GIVING_WAY):
            for upload in uploads:
                await upload.ended.wait()
    except TimeoutError:
        raise Conflict(f"{shown(parts)}: the same file is still on its way by another request of yours") from None
    if any(upload.stored for upload in uploads):
        raise Conflict(f"{shown(parts)} was stored just now by the request before this one")


class Upload:
    """One file on its way: `write` in order, `finish`, and `Uploads.end` at last. Cancelling is safe at any await."""

    def __init__(
        self, files: Files, ways: Ways, account: str, parts: Parts, replace: bool, leave: Callable[[], None]
    ) -> None:
        self.account = account
        self.parts = parts
        self.leave = leave
        self.ended = asyncio.Event()
        self.finishing = self.stored = False
        self.offset = 0
        "Bytes that are here, also while they are read again, and while they are kept."
        self._files = files
        self._ways = ways
        self._replace = replace
        self._replaces = False
        self.size: int | None = None
        self._room: Reservation | None = None
        self._staging: Staging | None = None
        self._working: asyncio.Future[object] | None = None

    async def write(self, data: bytes) -> None:
        """The next bytes. Raises TooLarge, or Unavailable when the disk takes no more."""
        await self._do(lambda: self._write(data))

    async def finish(self, seen: Reading | None = None) -> Stored:
        """It is all here: publish it, in place of the very file `seen` if one was. Raises Conflict and whatever else
        keeps it from its place."""
        self.finishing = True
        return await self._do(lambda: self._finish(seen.facts if seen else None))

    async def _begin(self, size: int | None, start: int) -> None:
        self.size = size
        await self._do(lambda: self._open(start))

    async def _close(self, *, keep: bool) -> None:
        if self._working is not None and not self._working.done():
            await asyncio.wait([self._working])  # a thread is at it, though whoever asked has gone
        try:
            await self._do(lambda: self._let_go(keep=keep))
        finally:
            self.ended.set()

    # -- in a thread ---------------------------------------------------------------------------------------------

    def _open(self, start: int) -> None:
        try:
            with self._files.tree.folder(self.parts[:-1]) as folder:
                self._replaces = folder.check(self.parts[-1], replace=self._replace) is not None
        except NotFound:
            self._files.tree.check_way(self.parts[:-1])  # it will be made
        self._room = self._files.quota.reserve(self.account, self.size or 0)
        with telling(self.parts):
            self._staging = self._again(start) if start else self._ways.area.begin(self.parts, self.account)

    def _again(self, start: int) -> Staging:
        """Go on with what was interrupted. What came behind `start` comes again."""
        area = self._ways.area
        kept = area.kept(self.parts, self.account)
        if kept is not None and kept.size != self.size:
            raise _no_fit(f"what is here of it is of a file of {kept.size:,} bytes, and this is another", 0)
        if kept is not None and kept.here < start:
            raise _no_fit(f"{kept.here:,} bytes of it are here: go on at {kept.here}, and not at {start}", kept.here)
        if kept is not None:
            self.offset = start  # reading it again may take a while, and who asks meanwhile is to know
        staging = area.go_on(kept, self.parts, self.account, start) if kept is not None else None
        if staging is None:
            self.offset = 0
            raise _no_fit("nothing is here of it that can be gone on with: send it whole", 0)
        if self._room is not None:
            self._room.wrote(start)
        return staging

    def _write(self, data: bytes) -> None:
        staging, room = self._here()
        if staging.offset + len(data) > room.size:
            room.grow(staging.offset + len(data) - room.size)
        with telling(self.parts):
            staging.write(memoryview(data))
        self.offset = staging.offset
        room.wrote(len(data))

    def _finish(self, expected: Facts | None) -> Stored:
        staging, _ = self._here()
        if self.size not in (None, staging.offset):
            raise InvalidArgument(f"{staging.offset:,} bytes came of a file of {self.size:,}")
        with telling(self.parts):
            arrived = staging.finish(MODE, None)
        parcel = Parcel(arrived, self.parts, self.account, self._replace, staging, expected)
        (answer,) = self._ways.publisher().publish([parcel])
        staging.close("failed" if answer.error else "whole")
        if answer.error is not None:
            raise answer.error
        self.stored = True
        self._ways.area.forget_kept(self.parts, self.account)
        return Stored(arrived.digest, self._replaces, answer.note)

    def _let_go(self, *, keep: bool) -> None:
        staging, self._staging = self._staging, None
        if staging is not None and keep and staging.is_coming and self.size and staging.offset >= KEPT_FROM:
            with suppress(OSError):  # then it is not kept
                self._ways.area.keep(staging, self.size)
        if staging is not None:
            staging.close("failed")
        if self._room is not None:
            self._room.release()

    def _here(self) -> tuple[Staging, Reservation]:
        if self._staging is None or self._room is None:
            raise Unavailable("this upload is closed")
        return self._staging, self._room

    async def _do(self, work: Callable[[], T]) -> T:
        """One thing at a time, each carried to its end even when nobody waits for it any more."""
        working = asyncio.ensure_future(self._files.threads.keep(self.account, work))
        self._working = working  # type: ignore[assignment]
        return await asyncio.shield(working)


def _no_fit(sentence: str, offset: int) -> CallError:
    return Conflict(sentence, {"offset": offset})

"""Files put by callers who send plain bytes (HTTP): staged, hashed, made durable and published as those of lanes are.

The disk works in threads of the files' own. Nothing is visible before `finish()` has returned; what was not finished is
gone when `close()` has.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from tieline.errors import InvalidArgument, NotFound, Unavailable
from tieline.login.identity import Identity
from tieline.services.files.entries import Reading
from tieline.services.files.files import Files
from tieline.store.files.facts import Facts
from tieline.store.files.names import Parts
from tieline.store.files.publish import Parcel, Publisher
from tieline.store.files.quota import Reservation
from tieline.store.files.staging import Staging
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.trouble import telling

T = TypeVar("T")
MODE = 0o644


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

    async def begin(self, identity: Identity, path: str, size: int | None, *, keep: bool = False) -> "Upload":
        """An upload to this path, of so many bytes if that is known; with `keep` only where nothing is.

        Whatever can be known before the first byte is told now. Close it in any case.
        """
        parts = await self._files.spaces.admit(identity, path, "write")
        if not parts or path.endswith("/"):
            raise InvalidArgument("put a file under a name: the path ends in a folder's slash")
        replace = not keep and not self._files.spaces.new_only(identity, parts)
        upload = Upload(self._files, self._ways, identity.account, parts, replace)
        try:
            await upload._begin(size or 0)
        except BaseException:
            await upload.close()
            raise
        return upload


class Upload:
    """One file on its way: `write` in order, `finish`, and `close` at last. Cancelling is safe at any await."""

    def __init__(self, files: Files, ways: Ways, account: str, parts: Parts, replace: bool) -> None:
        self._files = files
        self._ways = ways
        self._account = account
        self._parts = parts
        self._replace = replace
        self._replaces = False
        self._room: Reservation | None = None
        self._staging: Staging | None = None
        self._working: asyncio.Future[object] | None = None

    async def write(self, data: bytes) -> None:
        """The next bytes. Raises TooLarge, or Unavailable when the disk takes no more."""
        await self._do(lambda: self._write(data))

    async def finish(self, seen: Reading | None = None) -> Stored:
        """It is all here: publish it, in place of the very file `seen` if one was. Raises Conflict and whatever else
        keeps it from its place."""
        return await self._do(lambda: self._finish(seen.facts if seen else None))

    async def close(self) -> None:
        """Fine to call twice."""
        if self._working is not None and not self._working.done():
            await asyncio.wait([self._working])  # a thread is at it, though whoever asked has gone
        await self._do(self._close)

    # -- in a thread ---------------------------------------------------------------------------------------------

    async def _begin(self, size: int) -> None:
        await self._do(lambda: self._open(size))

    def _open(self, size: int) -> None:
        try:
            with self._files.tree.folder(self._parts[:-1]) as folder:
                self._replaces = folder.check(self._parts[-1], replace=self._replace) is not None
        except NotFound:
            self._check_way()
        self._room = self._files.quota.reserve(self._account, size)
        with telling(self._parts):
            self._staging = self._ways.area.begin(self._parts, self._account)

    def _check_way(self) -> None:
        """The folder will be made; what stands in its place now does so at the end as well."""
        for depth in range(1, len(self._parts)):
            try:
                self._files.tree.folder(self._parts[:depth]).close()
            except NotFound:
                with self._files.tree.folder(self._parts[: depth - 1]) as above:
                    if above.look(self._parts[depth - 1]) is not None:
                        raise
                    above.check(self._parts[depth - 1], replace=False)
                return

    def _write(self, data: bytes) -> None:
        staging, room = self._here()
        if staging.offset + len(data) > room.size:
            room.grow(staging.offset + len(data) - room.size)
        with telling(self._parts):
            staging.write(memoryview(data))
        room.wrote(len(data))

    def _finish(self, expected: Facts | None) -> Stored:
        staging, _ = self._here()
        with telling(self._parts):
            arrived = staging.finish(MODE, None)
        parcel = Parcel(arrived, self._parts, self._account, self._replace, staging, expected)
        (answer,) = self._ways.publisher().publish([parcel])
        staging.close("failed" if answer.error else "whole")
        if answer.error is not None:
            raise answer.error
        return Stored(arrived.digest, self._replaces, answer.note)

    def _close(self) -> None:
        staging, self._staging = self._staging, None
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
        working = asyncio.ensure_future(self._files.threads.keep(self._account, work))
        self._working = working  # type: ignore[assignment]
        return await asyncio.shield(working)

"""Lanes of the files service: what a caller sends is kept under the rules of `Spaces`, what it asks for is sent.

Runs in lane threads, in plain blocking code. What is acknowledged is on the disk, and known to the catalogue.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol

from tieline.errors import CallError, Denied, ProtocolError, Unavailable
from tieline.lanes.connection import Lane
from tieline.lanes.growing import Following
from tieline.lanes.receiving import Receiver
from tieline.lanes.remembered import Budget
from tieline.lanes.sending import Sender
from tieline.lanes.there import seen_below
from tieline.lanes.watching import Nobody
from tieline.limits import DEFAULT, Limits
from tieline.login.identity import Identity
from tieline.services.files.files import Files
from tieline.services.files.spaces import READ, WRITE
from tieline.store.files import names
from tieline.store.files.catalogue import Entry
from tieline.store.files.names import Parts, parse, shown
from tieline.store.files.publish import Parcel, Publisher
from tieline.store.files.staging_area import StagingArea
from tieline.wire.lane_messages import Get, Put, Seen

_RECORDING = 300.0
"Seconds the catalogue may take: it stands in line with all else that is written."
_FOLDERS = 32
"Folders known to be fine; files come folder by folder. A path may take 20 KB, and each of many lanes knows its own."


class Catalogue(Protocol):
    """What is needed of the store."""

    def record_from_thread(self, entries: Sequence[Entry]) -> "Future[None]": ...


class Transfers:
    """One per server. `serve` is what a lane's thread runs."""

    def __init__(self, files: Files, catalogue: Catalogue, *, limits: Limits = DEFAULT) -> None:
        self.files = files
        self.limits = limits
        keep = min(limits.staged, files.quota.each or limits.staged)
        self.area = StagingArea(files.tree.fd, keep_for=limits.staging_age, keep=keep)
        self._catalogue = catalogue
        self._budget = Budget(limits.lanes_seen)

    def start(self, *, alone: bool = True) -> None:
        """Blocking, before anybody calls: forget what nobody will go on with. Not `alone`: other programs of this
        machine may bring files into the same folder."""
        self.area.sweep(alone=alone)

    def close(self) -> None:
        self.area.close()

    def serve(self, lane: Lane, identity: Identity) -> None:
        """Do what the caller asks for, one thing after another."""
        while True:
            match lane.message(self.limits.lane_wait):
                case Put() as put:
                    self._put(lane, identity, put)
                case Get() as get:
                    self._get(lane, identity, get)
                case other:
                    raise ProtocolError(f"{type(other).__name__} where Put or Get was due")

    def publisher(self, begun: Callable[[], Callable[[], None]] = lambda: lambda: None) -> Publisher:
        """For files put here by whatever way; `begun` is called with each group of them, and what it returns when the
        catalogue knows them, or does not take them."""

        def record(parcels: Sequence[Parcel]) -> Callable[[], None]:
            at = int(time.time() * 1000)
            known = self._catalogue.record_from_thread([_entry(parcel, at) for parcel in parcels]) if parcels else None
            done = begun()

            def wait() -> None:
                try:
                    if known is not None:
                        known.result(_RECORDING)
                except TimeoutError:
                    raise Unavailable("the server is too busy to note what was put; try again") from None
                finally:
                    done()

            return wait

        return Publisher(self.files.tree, self.area, record=record)

    def _put(self, lane: Lane, identity: Identity, put: Put) -> None:
        if not identity.may(WRITE) or identity.guest:
            raise Denied(identity.refusal("to put files", WRITE))
        roots = [self._root(identity, root) for root in put.roots]
        destination = _Shelves(self, identity, roots, put.keep)
        try:
            receiver = Receiver(lane, destination, Nobody(), self.limits)
            receiver.tell(destination.seen())
            try:
                receiver.run()
            except BaseException:  # whatever ends the lane: what came whole is kept
                receiver.drop()
                raise
        finally:
            destination.close()

    def _root(self, identity: Identity, root: str) -> Parts:
        if root == "/":
            return ()
        return self.files.spaces.admit_in_thread(identity, root, "write")

    def _get(self, lane: Lane, identity: Identity, get: Get) -> None:
        if not identity.may(READ) or identity.guest:
            raise Denied(identity.refusal("to get files", READ))
        roots = [_Root(self.files, identity, path, self.area if get.wait else None) for path in get.roots]
        sender = Sender(lane, roots, Nobody(), self.limits, budget=self._budget)
        sender.learn()
        sender.run()


class _Shelves:
    """Where a caller's files go: the tree, under the rules of `Spaces` and within the quota."""

    def __init__(self, transfers: Transfers, identity: Identity, roots: Sequence[Parts], keep: bool) -> None:
        self.by = identity.account
        self.area = transfers.area
        self.publisher = transfers.publisher(self._recording)
        self._files = transfers.files
        self._limits = transfers.limits
        self._identity = identity
        self._roots = roots
        self._keep = keep
        self._folders: dict[Parts, bool] = {}
        self._room = self._files.quota.reserve(self.by, 0)

    def close(self) -> None:
        self._room.release()

    def seen(self) -> Iterator[Seen]:
        for root, parts in enumerate(self._roots):
            yield from self._seen(root, parts)

    def path(self, root: int, path: Sequence[str]) -> Parts:
        if not 0 <= root < len(self._roots):
            raise ProtocolError(f"root {root} was not announced")
        parts = (*self._roots[root], *path)
        folder = parts[:-1]
        if folder not in self._folders:
            names.check(folder, self._limits)
            self._files.spaces.check(self._identity, parts or folder, "write")
            if len(self._folders) >= _FOLDERS:
                self._folders.clear()
            self._folders[folder] = len(folder) > 1 or bool(folder and folder[0] not in ("rooms", "people"))
        elif not self._folders[folder]:
            self._files.spaces.check(self._identity, parts, "write")
        if parts:
            names.check(parts[-1:], self._limits)
        return parts

    def replaces(self, path: Parts) -> bool:
        return not self._keep and not self._files.spaces.new_only(self._identity, path)

    def make_folder(self, path: Parts, mode: int) -> None:
        if path:
            self._files.quota.one_more()
            self._files.tree.folder(path, make=True).close()

    def make_link(self, path: Parts, target: str) -> None:
        self._files.quota.one_more()
        with self._files.tree.folder(path[:-1], make=True) as folder:
            folder.link(path[-1], target, replace=self.replaces(path))
            folder.sync()

    def room(self, size: int) -> None:
        self._room.grow(size)

    def wrote(self, size: int) -> None:
        self._room.wrote(size)

    def _recording(self) -> Callable[[], None]:
        """What came so far is counted by the catalogue soon, and no more by us then."""
        return self._room.split().release

    def _seen(self, root: int, parts: Parts) -> Iterator[Seen]:
        try:
            self._files.spaces.check(self._identity, parts, "list")
        except CallError:
            return  # a letter box says nothing
        yield from seen_below(self._files.tree, root, parts, self._visible(parts))

    def _visible(self, parts: Parts) -> Callable[[Parts], bool]:
        return lambda path: self._files.spaces.visible(self._identity, (*parts, *path))


class _Root:
    """Something a caller wants."""

    def __init__(self, files: Files, identity: Identity, path: str, follow: StagingArea | None) -> None:
        self._files = files
        self._follow = follow
        "Where files still on their way are followed, if they are to be."
        self._identity = identity
        self._path = path
        self._parts: Parts = parse(path)

    def open(self) -> int | Following:
        self._parts = self._files.spaces.admit_in_thread(self._identity, self._path, "read" if self._parts else "list")
        if not self._parts:
            return os.dup(self._files.tree.fd)
        if self._follow is not None and (staging := self._follow.incoming(self._parts)) is not None:
            try:
                return Following(self._follow, staging)
            except OSError:
                pass  # it is complete this very moment
        if self._files.tree.stat(self._parts).kind == "folder":
            with self._files.tree.folder(self._parts) as folder:
                return os.dup(folder.fd)
        return self._files.tree.open(self._parts).fd

    def allowed(self, path: Parts) -> bool:
        return self._files.spaces.visible(self._identity, (*self._parts, *path))


def _entry(parcel: Parcel, at: int) -> Entry:
    arrived = parcel.arrived
    return Entry(shown(parcel.path), arrived.size, arrived.mtime, arrived.inode, arrived.digest, parcel.by, at)

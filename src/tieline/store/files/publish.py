"""What has arrived becomes what is there: durable first, then visible in one step, then known, and only then said.

A group of files shares the costly steps: one call that makes all their bytes durable, one per folder for their names,
one transaction for what is known of them. While that is written the next group can arrive. Blocking, for any thread;
whoever calls may acknowledge what comes back.
"""

import ctypes
import errno
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import groupby

import msgspec

from tieline.errors import CallError
from tieline.store.files.facts import Facts
from tieline.store.files.names import Parts, shown
from tieline.store.files.staging import Arrived, Staging
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.tree import Tree
from tieline.store.files.trouble import told

log = logging.getLogger("tieline.files")

_ONE_BY_ONE = 8
"Files that are made durable each by itself; more of them together with all else that the file system holds back."


class Parcel(msgspec.Struct, frozen=True):
    """A file that arrived, and where it goes. `replace` False: only where nothing is."""

    arrived: Arrived
    path: Parts
    by: str = ""
    replace: bool = True
    staging: Staging | None = None
    expected: Facts | None = None
    "The very file that it may replace, if it may not be another."


class Published(msgspec.Struct, frozen=True):
    """What became of one: it is there for good, or `error` says why not. `note` is something to tell its sender."""

    error: CallError | None = None
    note: str = ""


Record = Callable[[Sequence[Parcel]], Callable[[], object]]
"Begins to note what is known of files, in the order of its calls; what it returns waits for the disk, or raises."

_FINE = Published()


def _nothing() -> None:
    """There is nothing to wait for."""


class Publisher:
    """`record` keeps digest and owner; without `durable` nothing is forced to the disk (a client's downloads)."""

    def __init__(self, tree: Tree, area: StagingArea, *, record: Record | None = None, durable: bool = True) -> None:
        self._tree = tree
        self._area = area
        self._record = record
        self._durable = durable
        self._trouble = area.trouble

    def publish(self, parcels: Sequence[Parcel]) -> list[Published]:
        """One answer for each, in their order; what could not be published is removed."""
        return self.begin(parcels)()

    def begin(self, parcels: Sequence[Parcel]) -> Callable[[], list[Published]]:
        """All but waiting until they are known, which is what comes back: call it, once, for the answers."""
        answers = [_FINE] * len(parcels)
        together = len(parcels) > _ONE_BY_ONE
        known: Callable[[], object] = _nothing
        try:
            if self._durable:
                self._make_durable(parcels, together=together)
        except OSError as error:
            answers = [Published(told(error, parcel.path)) for parcel in parcels]
        else:
            known = self._put_in_place(parcels, answers, together=together)

        def end() -> list[Published]:
            self._all_or_none(answers, known)
            for parcel, answer in zip(parcels, answers, strict=True):
                if answer.error is not None:
                    self._area.discard(parcel.arrived.name)
            return answers

        return end

    def _put_in_place(
        self, parcels: Sequence[Parcel], answers: list[Published], *, together: bool
    ) -> Callable[[], object]:
        """Names first, then what is known of them; of two groups that share a name the later is later in both."""
        with ExitStack() as folders:
            with self._tree.in_order:
                for place, run in groupby(range(len(parcels)), lambda at: (parcels[at].path[:-1], parcels[at].replace)):
                    self._into(place[0], [*run], parcels, answers, folders if self._durable and not together else None)
                known = self._tell(parcels, answers)
            if self._durable and together:
                self._all_or_none(answers, lambda: self._make_durable((), together=True))
        return known

    def _into(
        self, path: Parts, run: list[int], parcels: Sequence[Parcel], answers: list[Published], later: ExitStack | None
    ) -> None:
        """The parcels of one folder, found anew: a link in its place leads nowhere. Synced `later`, if at all."""
        try:
            with ExitStack() as opened:
                folder = opened.enter_context(self._tree.folder(path, make=True))
                these = [parcels[at] for at in run]
                names = [(parcel.arrived.name, parcel.path[-1]) for parcel in these]
                expected = {parcel.path[-1]: parcel.expected for parcel in these if parcel.expected is not None}
                placed = folder.place_all(self._area.fd, names, replace=parcels[run[0]].replace, expected=expected)
                if later is not None:
                    later.push(opened.pop_all())
                    later.callback(self._all_or_none, answers, folder.sync)
        except CallError as error:
            placed = [error] * len(run)
        for at, fault in zip(run, placed, strict=True):
            answers[at] = self._placed(parcels[at]) if fault is None else Published(fault)

    def _placed(self, parcel: Parcel) -> Published:
        others = self._area.others(parcel.path, parcel.staging)
        if not others:
            return _FINE
        who = others[-1].by or "somebody"
        return Published(note=f"{who} is putting {shown(parcel.path)[:200]} too, and that will replace yours")

    def _tell(self, parcels: Sequence[Parcel], answers: list[Published]) -> Callable[[], object]:
        if self._record is None:
            return _nothing
        return self._record([parcel for parcel, answer in zip(parcels, answers, strict=True) if answer.error is None])

    def _all_or_none(self, answers: list[Published], step: Callable[[], object]) -> None:
        """A step that all of them need. When it fails they are there, but not for sure: their senders try again."""
        try:
            step()
        except (CallError, OSError) as error:
            fault = error if isinstance(error, CallError) else told(error, ())
            for at, answer in enumerate(answers):
                if answer.error is None:
                    answers[at] = Published(fault)

    def _make_durable(self, parcels: Sequence[Parcel], *, together: bool) -> None:
        """The system tells of a failed write once, to whoever asks first; it concerns all who had staged by then."""
        if self._trouble != self._area.trouble:
            self._trouble = self._area.trouble
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        try:
            self._sync(parcels, together=together)
        except OSError:
            self._area.trouble += 1
            self._trouble = self._area.trouble
            raise

    def _sync(self, parcels: Sequence[Parcel], *, together: bool) -> None:
        if together:
            _syncfs(self._area.fd)
            return
        for parcel in parcels:
            descriptor = os.open(parcel.arrived.name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._area.fd)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _find_syncfs() -> Callable[[int], None]:
    found = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if found is None:  # macOS: everything that any file system has not written
        return lambda _: os.sync()
    found.argtypes, found.restype = (ctypes.c_int,), ctypes.c_int

    def syncfs(descriptor: int) -> None:
        """All that this file system has not written yet. Raises OSError when it could not (Linux 5.8 tells)."""
        if found(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return syncfs


_syncfs = _find_syncfs()

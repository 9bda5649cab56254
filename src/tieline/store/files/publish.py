"""What has arrived becomes what is there: durable first, then visible in one step, then known, and only then said.

A group of files shares the costly steps: one call that makes all their bytes durable, one per folder for their names,
one transaction for what is known of them. Blocking, for any thread; whoever calls may acknowledge what comes back.
"""

import ctypes
import logging
import os
from collections.abc import Callable, Sequence
from itertools import groupby

import msgspec

from tieline.errors import CallError
from tieline.store.files.names import Parts, shown
from tieline.store.files.staging import Arrived, Staging, StagingArea
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


class Published(msgspec.Struct, frozen=True):
    """What became of one: it is there for good, or `error` says why not. `note` is something to tell its sender."""

    error: CallError | None = None
    note: str = ""


Record = Callable[[Sequence[Parcel]], None]
"Notes what is known of files that are in place, durably, before it returns. Raises CallError."

_FINE = Published()


class Publisher:
    """`record` keeps digest and owner; without `durable` nothing is forced to the disk (a client's downloads)."""

    def __init__(self, tree: Tree, area: StagingArea, *, record: Record | None = None, durable: bool = True) -> None:
        self._tree = tree
        self._area = area
        self._record = record
        self._durable = durable

    def publish(self, parcels: Sequence[Parcel]) -> list[Published]:
        """One answer for each, in their order; what could not be published is removed."""
        answers = [_FINE] * len(parcels)
        try:
            if self._durable:
                self._make_durable(parcels)
        except OSError as error:
            answers = [Published(told(error, parcel.path)) for parcel in parcels]
        else:
            for folder, run in groupby(range(len(parcels)), lambda at: (parcels[at].path[:-1], parcels[at].replace)):
                self._into(folder[0], [*run], parcels, answers)
            self._note(parcels, answers)
        for parcel, answer in zip(parcels, answers, strict=True):
            if answer.error is not None:
                self._area.discard(parcel.arrived.name)
        return answers

    def _into(self, folder: Parts, run: list[int], parcels: Sequence[Parcel], answers: list[Published]) -> None:
        """The parcels of one folder, which is found anew: a link in its place leads nowhere."""
        try:
            with self._tree.folder(folder, make=True) as there:
                names = [(parcels[at].arrived.name, parcels[at].path[-1]) for at in run]
                placed = there.place_all(self._area.fd, names, replace=parcels[run[0]].replace)
                for at, error in zip(run, placed, strict=True):
                    answers[at] = self._placed(parcels[at]) if error is None else Published(error)
                if self._durable:
                    there.sync()
        except CallError as error:
            for at in run:
                answers[at] = Published(answers[at].error or error)

    def _placed(self, parcel: Parcel) -> Published:
        others = self._area.others(parcel.path, parcel.staging)
        if not others:
            return _FINE
        who = others[-1].by or "somebody"
        return Published(note=f"{who} is putting {shown(parcel.path)} too, and that will replace yours")

    def _note(self, parcels: Sequence[Parcel], answers: list[Published]) -> None:
        if self._record is None:
            return
        kept = [parcel for parcel, answer in zip(parcels, answers, strict=True) if answer.error is None]
        try:
            self._record(kept)
        except CallError as error:  # they are there, but nothing is known of them; their sender tries again
            for at, answer in enumerate(answers):
                if answer.error is None:
                    answers[at] = Published(error)

    def _make_durable(self, parcels: Sequence[Parcel]) -> None:
        if len(parcels) > _ONE_BY_ONE and _syncfs(self._area.fd):
            return
        for parcel in parcels:
            descriptor = os.open(parcel.arrived.name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._area.fd)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _find_syncfs() -> Callable[[int], bool]:
    found = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if found is None:
        return lambda _: False
    found.argtypes, found.restype = (ctypes.c_int,), ctypes.c_int

    def syncfs(descriptor: int) -> bool:
        """All that this file system has not written yet. Raises OSError when it could not (Linux 5.8 tells)."""
        if found(descriptor) == 0:
            return True
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

    return syncfs


_syncfs = _find_syncfs()

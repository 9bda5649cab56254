"""The keeping side of a lane: what comes is checked, staged, published in groups, and only then acknowledged.

Plain blocking code for the lane's thread. A group ends when nothing more has come, or when it is large enough: so a
single file is acknowledged at once, and thousands share the steps that cost. While one group becomes known to the
catalogue, the next arrives.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from blake3 import blake3

from tieline.errors import CallError, ProtocolError
from tieline.lanes.connection import Lane
from tieline.lanes.incoming import receive_file
from tieline.lanes.watching import Watcher
from tieline.limits import DEFAULT, Limits, MiB
from tieline.store.files.names import Parts, link_target
from tieline.store.files.publish import Parcel, Published, Publisher
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.trouble import told
from tieline.wire.lane import BATCH, Kind
from tieline.wire.lane_messages import (
    DAMAGED,
    GROUP,
    SEEN,
    TEXT,
    AllKept,
    AnyMessage,
    Batch,
    End,
    Failure,
    File,
    Folder,
    Kept,
    Left,
    Link,
    Note,
    Seen,
    SeenAll,
    Small,
)

_GROUP_BYTES = 64 * MiB
"Bytes of files published together, about."


class Destination(Protocol):
    """Where files go. Its methods raise CallError for what may not go there."""

    area: StagingArea
    publisher: Publisher
    by: str

    def path(self, root: int, path: Sequence[str]) -> Parts:
        """The full path of something below a root, checked: names, and whether it may be written."""

    def replaces(self, path: Parts) -> bool:
        """Whether a file may take the place of another there."""

    def make_folder(self, path: Parts, mode: int) -> None: ...

    def make_link(self, path: Parts, target: str) -> None: ...

    def room(self, size: int) -> None:
        """Raises when so many bytes more may not come."""

    def wrote(self, size: int) -> None:
        """So many of them are on the disk already."""


class Receiver:
    """`run()` takes in everything until the bulk side has ended, and returns its End."""

    def __init__(self, lane: Lane, to: Destination, watcher: Watcher, limits: Limits = DEFAULT) -> None:
        self.lane = lane
        self.to = to
        self.watcher = watcher
        self.limits = limits
        self.count = 0
        "Items so far."
        self.buffer = memoryview(bytearray(BATCH))
        self._group: list[tuple[int, Parcel]] = []
        self._bytes = 0
        self._failures: list[Failure] = []
        self._said = 0
        self._publishing: _Group | None = None

    def run(self) -> End:
        while True:
            if (self._said < self.count or self._failures) and not self.lane.readable():
                self.commit()
                self.answer()
            end = self._take(self.lane.message())
            if end is not None:
                self.commit()
                self.answer()
                self.lane.say(AllKept())
                return end

    def tell(self, seen: Iterable[Seen]) -> None:
        """Say what is there, folder by folder; of a tree of very many files not all."""
        left = self.limits.lane_told
        for one in seen:
            for at in range(0, min(left, len(one.files)), SEEN):
                self.lane.say(Seen(one.root, one.folder, one.files[at : at + SEEN]))
            left -= len(one.files) + 1
            if left <= 0:
                break
        self.lane.say(SeenAll())

    def add(self, number: int, parcel: Parcel) -> None:
        """One more that has arrived."""
        self._group.append((number, parcel))
        self._bytes += parcel.arrived.size
        if len(self._group) + len(self._failures) >= GROUP or self._bytes >= _GROUP_BYTES:
            self.commit()

    def fail(self, number: int, error: CallError | Failure) -> None:
        """One that is not kept."""
        self._failures.append(error if isinstance(error, Failure) else _failure(number, error))
        if len(self._failures) + len(self._group) >= GROUP:
            self.commit()

    def next_number(self) -> int:
        self.count += 1
        return self.count - 1

    def commit(self) -> None:
        """Publish the group. What became of it is said when the next is published, or by `answer`."""
        self.answer()
        with self.lane.resting():
            end = self.to.publisher.begin([parcel for _, parcel in self._group])
        self._publishing = _Group(self._group, self._failures, self.count, end)
        self._group, self._failures, self._bytes = [], [], 0

    def answer(self) -> None:
        """Say what is kept of the group that was published."""
        group, self._publishing = self._publishing, None
        if group is None:
            return
        with self.lane.resting():
            notes = group.close()
        self._said = group.count
        self.watcher.kept(group.count, group.failures, notes)
        self.lane.say(Kept(group.count, group.failures, notes))

    def drop(self) -> None:
        """The lane is gone: what came is still good, and is published without a word."""
        if self._publishing is not None:
            self._publishing.close()
        end = self.to.publisher.begin([parcel for _, parcel in self._group])
        _Group(self._group, [], self.count, end).close()
        self._publishing, self._group = None, []

    # -- inside --------------------------------------------------------------------------------------------------

    def _take(self, message: AnyMessage) -> End | None:
        """One thing more. A call of its own, so that what was said is forgotten before the next is waited for."""
        match message:
            case Batch():
                self._batch(message)
            case File():
                receive_file(self, message)
            case Folder():
                self._made(message.root, message.path, "folder", partial(self._make_folder, message.mode))
            case Link():
                self._link(message)
            case Left():
                self.watcher.left(message.root, tuple(message.path), message.message)
            case End():
                return message
            case _:
                raise ProtocolError(f"{type(message).__name__} where something to keep was due")
        return None

    def _batch(self, batch: Batch) -> None:
        kind, size = self.lane.header(self.limits.lane_progress)
        if kind is not Kind.DATA or size > BATCH or size != sum(file.size for file in batch.files):
            raise ProtocolError("a batch whose bytes do not fit what it said")
        content = self.buffer[:size]
        self.lane.read_into(content)
        refused = self._refusal(batch, size)
        at = 0
        for file in batch.files:
            self._small(batch, file, content[at : at + file.size], refused)
            at += file.size
        self.to.wrote(size)
        self.watcher.moved(size)

    def _small(self, batch: Batch, file: Small, data: memoryview, refused: CallError | None) -> None:
        """One file of a batch, all of whose bytes are here. `refused` says why none of them is taken."""
        number = self.next_number()
        # Announced before anything can refuse it: numbers and names must stay together.
        self.watcher.item(batch.root, (*batch.folder, file.name) if file.name else tuple(batch.folder), file.size)
        try:
            path = self._path(batch, file.name)
            if refused is not None:
                raise refused
            if blake3(data).digest() != file.digest:
                self.fail(number, Failure(number, DAMAGED, "it was damaged on the way"))
                return
            arrived = self.to.area.whole(data, file.mode & 0o777 | 0o600, file.mtime, file.digest)
        except CallError as error:
            self.fail(number, error)
        except OSError as error:
            self.fail(number, told(error, (*batch.folder, file.name)))
        else:
            self.add(number, Parcel(arrived, path, self.to.by, self.to.replaces(path)))

    def _refusal(self, batch: Batch, size: int) -> CallError | None:
        try:
            self.to.room(size)
        except CallError as error:
            return error
        return None

    def _path(self, batch: Batch, name: str) -> Parts:
        return self.to.path(batch.root, [*batch.folder, name] if name else batch.folder)

    def _made(self, root: int, path: Sequence[str], kind: str, make: Callable[[Parts], None]) -> None:
        number = self.next_number()
        self.watcher.item(root, tuple(path), 0, kind)
        try:
            make(self.to.path(root, path))
        except CallError as error:
            self.fail(number, error)

    def _make_folder(self, mode: int, path: Parts) -> None:
        self.to.make_folder(path, mode & 0o777 | 0o700)

    def _link(self, message: Link) -> None:
        """One that leads out of its root is not made, wherever the root lies: what is there was not asked for."""

        def make(path: Parts) -> None:
            link_target(tuple(message.path[:-1]), message.target, self.limits)
            self.to.make_link(path, message.target)

        self._made(message.root, message.path, "link", make)


class _Group:
    """Items up to a number, published; they are kept for good when `end` has said so."""

    def __init__(
        self,
        parcels: Sequence[tuple[int, Parcel]],
        failures: list[Failure],
        count: int,
        end: Callable[[], list[Published]],
    ) -> None:
        self.failures = failures
        self.count = count
        self._parcels = parcels
        self._end = end

    def close(self) -> list[Note]:
        """Wait for the end; what failed is in `failures` then, and what is to be told of the others comes back."""
        notes = list[Note]()
        for (number, parcel), answer in zip(self._parcels, self._end(), strict=True):
            if parcel.staging is not None:
                parcel.staging.close("whole" if answer.error is None else "failed")
            if answer.error is not None:
                self.failures.append(_failure(number, answer.error))
            elif answer.note:
                notes.append(Note(number, answer.note))
        return notes


def _failure(number: int, error: CallError) -> Failure:
    return Failure(number, error.code, str(error)[:TEXT])

"""The client's side of the disk: what is sent from it, and where what comes is put. Blocking, for a lane's thread.

What a server sends goes beneath the destination by handles and under names that were checked, whatever the server
calls it; the same code as the server's own keeps it whole.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tieline.errors import InvalidArgument
from tieline.lanes.growing import Pipe
from tieline.lanes.there import seen_below
from tieline.limits import DEFAULT, Limits
from tieline.store.files import names
from tieline.store.files.beneath import FILE
from tieline.store.files.names import Parts
from tieline.store.files.publish import Publisher
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.tree import Tree
from tieline.wire.lane_messages import Seen


class LocalRoot:
    """A file or folder that somebody named; a link given by name is followed, those inside are not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> int:
        return os.open(self.path, FILE)

    def allowed(self, path: Parts) -> bool:
        return True


class PipeRoot:
    """Standard input, or whatever else can be read once."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = Pipe(descriptor)

    def open(self) -> Pipe:
        return self._pipe

    def allowed(self, path: Parts) -> bool:
        return False


class LocalDestination:
    """Beneath the folder `where`; each root of the transfer goes to the path in `targets`."""

    def __init__(
        self, where: Path, targets: Sequence[Parts], *, server: str, keep: bool = False, limits: Limits = DEFAULT
    ) -> None:
        self.keep = keep
        self.by = server
        self._targets = [*targets]
        self._limits = limits
        self.where = where
        try:
            self._tree = Tree(where, shared=False, limits=limits)
            self.area = self._stage()
        except OSError as error:  # told of the folder the person named, not of one of ours in it
            raise OSError(error.errno, error.strerror, str(where)) from error
        self.publisher = Publisher(self._tree, self.area, durable=False)

    def _stage(self) -> StagingArea:
        try:
            area = StagingArea(self._tree.fd, keep_for=self._limits.staging_age)
            area.sweep(alone=False)
        except BaseException:  # we are not made then, so nobody could close it later
            self._tree.close()
            raise
        return area

    def close(self) -> None:
        self.area.close()
        self._tree.close()

    def seen(self) -> Iterator[Seen]:
        """What is there of each root."""
        for root, target in enumerate(self._targets):
            yield from seen_below(self._tree, root, target)

    def path(self, root: int, path: Sequence[str]) -> Parts:
        if not 0 <= root < len(self._targets):
            raise InvalidArgument("the server sends something that was not asked for")
        return (*self._targets[root], *names.check(tuple(path), self._limits))

    def replaces(self, path: Parts) -> bool:
        return not self.keep

    def make_folder(self, path: Parts, mode: int) -> None:
        self._tree.folder(path, make=True).close()

    def make_link(self, path: Parts, target: str) -> None:
        with self._tree.folder(path[:-1], make=True) as folder:
            folder.link(path[-1], target, replace=self.replaces(path))

    def wrote(self, size: int) -> None: ...

    def room(self, size: int) -> None:
        if size and size > self._tree.space().free:
            raise InvalidArgument(
                f"{size:,} bytes do not fit on this disk, which has {self._tree.space().free:,} left; "
                "make room, or choose another disk"
            )


def counted(paths: Iterable[Path]) -> tuple[int, int]:
    """How many files that will be, and how many bytes, for those who watch."""
    sizes = [size for path in paths for size in _files_below(path)]
    return len(sizes), sum(sizes)


def _files_below(path: Path) -> Iterator[int]:
    """Their sizes; what cannot be looked at is left out, and said when it is sent."""
    try:
        if path.is_dir():
            yield from _files_of(path)
        else:
            yield path.stat().st_size
    except OSError:
        return


def _files_of(folder: Path) -> Iterator[int]:
    ahead = [os.fspath(folder)]
    while ahead:
        with os.scandir(ahead.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    ahead.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.stat(follow_symlinks=False).st_size

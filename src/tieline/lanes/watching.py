"""What whoever watches a transfer is told, by the side that sends and by the side that keeps."""

from collections.abc import Sequence
from typing import Protocol

from tieline.store.files.names import Parts
from tieline.wire.lane_messages import Failure, Note


class Watcher(Protocol):
    """Is told how it goes, in the lane's thread. `same` is told at the sending side only."""

    def item(self, root: int, path: Parts, size: int, kind: str = "file") -> None:
        """The next item, counted from 0, is on its way, or here: a file, folder or link."""

    def sized(self, size: int) -> None:
        """The newest item, whose size nobody knew, has so many bytes."""

    def moved(self, size: int) -> None:
        """So many more bytes of content went out, or are here."""

    def left(self, root: int, path: Parts, message: str) -> None:
        """Something is not sent."""

    def same(self, root: int, path: Parts, size: int) -> None:
        """The other side has this file already."""

    def kept(self, count: int, failures: Sequence[Failure], notes: Sequence[Note]) -> None:
        """All items before `count` are kept, but for these."""


class Nobody:
    """Watches no transfer: the other side does."""

    def item(self, root: int, path: Parts, size: int, kind: str = "file") -> None: ...

    def sized(self, size: int) -> None: ...

    def moved(self, size: int) -> None: ...

    def left(self, root: int, path: Parts, message: str) -> None: ...

    def same(self, root: int, path: Parts, size: int) -> None: ...

    def kept(self, count: int, failures: Sequence[Failure], notes: Sequence[Note]) -> None: ...

"""How a transfer goes: counted in the lane's thread, shown as `Progress`, summed up as `Transferred`.

Counts every file once, however often the connection broke and the rest began anew.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from tieline.errors import BY_CODE, CallError, ProtocolError
from tieline.store.files.names import Parts
from tieline.wire.lane import BLOCK
from tieline.wire.lane_messages import DAMAGED, Failure, Note

_PAUSE = 0.1
"Seconds between two reports of progress."


class Progress(msgspec.Struct, frozen=True):
    """Where a transfer is. Sizes in bytes; what came in an earlier attempt counts too."""

    files: int
    bytes: int
    total_files: int | None
    total_bytes: int | None
    path: str
    "The file that moves now."
    path_bytes: int
    path_total: int
    seconds: float
    note: str = ""
    "A sentence when something is to be told: the connection was lost, and is tried again."


class Failed(msgspec.Struct, frozen=True):
    """Something that was not transferred, and why."""

    path: str
    reason: str
    code: str = ""


class Transferred(msgspec.Struct, frozen=True):
    """What a transfer did."""

    files: int
    "Files that are now where they should be."
    bytes: int
    "Their sizes."
    seconds: float
    skipped: int = 0
    "Files that were there already, the same in size and time."
    folders: int = 0
    links: int = 0
    wire_bytes: int = 0
    "What went over lanes in both directions, framing included."
    attempts: int = 1
    "Lanes it took."
    failed: list[Failed] = []
    notes: list[str] = []

    def check(self) -> "Transferred":
        """Itself, when nothing failed; else raises a CallError about the first that did, with all of them as its
        `data`."""
        if not self.failed:
            return self
        first, others = self.failed[0], len(self.failed) - 1
        more = f" (and {others:,} more)" if others else ""
        raise BY_CODE.get(first.code, CallError)(f"{first.path}: {first.reason}{more}", self.failed)


Report = Callable[[Progress], None]


class Tally:
    """A Watcher of what is sent, or of what is received. `name(root, path)` shows a path to people."""

    def __init__(self, name: Callable[[int, Parts], str], report: Report | None) -> None:
        self.total_files: int | None = None
        self.total_bytes: int | None = None
        self.attempts = 0
        self.wire_bytes = 0
        self.damaged = False
        self._name = name
        self._report = report
        self._began = time.monotonic()
        self._told = 0.0
        self._pending: deque[tuple[int, Parts, int, str]] = deque()
        self._counted = 0  # items of this lane that are off `_pending`
        self._done: dict[tuple[int, Parts], int] = {}
        self._made: dict[str, set[tuple[int, Parts]]] = {"folder": set(), "link": set()}
        self._skipped: set[tuple[int, Parts]] = set()
        self._best_done = self._best_moved = 0
        self._same = 0
        self._before = 0
        "Files that were done when this lane began."
        self._moved = 0
        self._at: tuple[int, Parts] = (0, ())
        self._at_moved = self._at_size = 0
        self._failed: dict[tuple[int, Parts], Failed] = {}
        self._notes: list[str] = []

    def begin(self) -> None:
        """A new lane: what was on its way is again to be sent."""
        self.attempts += 1
        self.damaged = False
        self._pending.clear()
        self._counted = 0
        self._before = len(self._done)
        self._moved = sum(self._done.values())
        self._failed.clear()

    def has_come_further(self) -> bool:
        """Whether this lane did something that need not be done again, beyond all before it."""
        if len(self._done) <= self._best_done and self._moved < self._best_moved + BLOCK:
            return False
        self._best_done, self._best_moved = len(self._done), max(self._moved, self._best_moved)
        return True

    # -- told by the lane ----------------------------------------------------------------------------------------

    def item(self, root: int, path: Parts, size: int, kind: str = "file") -> None:
        self._pending.append((root, path, size, kind))
        self._at, self._at_size, self._at_moved = (root, path), size, 0

    def sized(self, size: int) -> None:
        root, path, _, kind = self._pending.pop()
        self._pending.append((root, path, size, kind))

    def moved(self, size: int) -> None:
        self._moved += size
        self._at_moved += size
        if self._report is not None:
            self.tell()

    def left(self, root: int, path: Parts, message: str) -> None:
        self._failed[root, path] = Failed(self._name(root, path), message, "refused")

    def same(self, root: int, path: Parts, size: int) -> None:
        if (root, path) not in self._done:
            self._skipped.add((root, path))
            self._moved += size

    def ended(self, same: int, size: int) -> None:
        """The server says how many files it did not send because they are here."""
        self._same = max(0, same - self._before)
        self._moved += size

    def kept(self, count: int, failures: Sequence[Failure], notes: Sequence[Note]) -> None:
        wrong = {failure.number: failure for failure in failures}
        said = {note.number: note.text for note in notes}
        while self._counted < count and self._pending:
            root, path, size, kind = self._pending.popleft()
            failure = wrong.get(self._counted)
            if failure is None and kind == "file":
                self._done[root, path] = size
            elif failure is None:
                self._made[kind].add((root, path))
            else:
                self.damaged = self.damaged or failure.code in (DAMAGED, "changed")
                self._failed[root, path] = Failed(self._name(root, path), failure.message, failure.code)
            if self._counted in said:
                self._notes.append(said[self._counted])
            self._counted += 1
        if self._counted < count:
            raise ProtocolError(f"{count} things are said to be kept or not, of {self._counted} that there were")

    # -- told to others ------------------------------------------------------------------------------------------

    def tell(self, note: str = "", *, now: bool = False) -> None:
        """Report, but not too often."""
        if self._report is None:
            return
        moment = time.monotonic()
        if not (note or now) and moment - self._told < _PAUSE:
            return
        self._told = moment
        self._report(
            Progress(
                len(self._done) + len(self._skipped) + self._same,
                self._moved,
                self.total_files,
                self.total_bytes,
                self._name(*self._at),
                self._at_moved,
                self._at_size,
                moment - self._began,
                note,
            )
        )

    def result(self) -> Transferred:
        sizes = self._done.values()
        return Transferred(
            files=len(self._done),
            bytes=sum(sizes),
            seconds=time.monotonic() - self._began,
            skipped=len(self._skipped) + self._same,
            folders=len(self._made["folder"]),
            links=len(self._made["link"]),
            wire_bytes=self.wire_bytes,
            attempts=self.attempts,
            failed=list(self._failed.values()),
            notes=self._notes,
        )

"""One longer file as it comes: block by block into its staging, and from the last good block when one was damaged."""

from typing import TYPE_CHECKING

from tieline.errors import CallError, Denied, LinkError, ProtocolError
from tieline.store.files.names import Parts
from tieline.store.files.publish import Parcel
from tieline.store.files.staging import JustStored, Staging
from tieline.store.files.trouble import told
from tieline.wire.lane import BLOCK, HOLE, Kind, mark_frame
from tieline.wire.lane_messages import (
    DAMAGED,
    TEXT,
    Again,
    Alive,
    Broken,
    Done,
    Failure,
    File,
    From,
    No,
    Ready,
    Verified,
)

if TYPE_CHECKING:
    from tieline.lanes.receiving import Receiver

_LONG = 8 * BLOCK
"Bytes of a file worth a thread that hashes."


def receive_file(receiver: "Receiver", file: File) -> None:
    """Take in the file that this message announced. It is one item, whatever becomes of it."""
    number = receiver.next_number()
    receiver.watcher.item(file.root, tuple(file.path), file.size or 0)
    try:
        path = receiver.to.path(file.root, file.path)
        receiver.to.room(file.size or 0)
        staging = _begin(receiver, file, path)
    except CallError as error:
        again = Failure(number, DAMAGED, str(error)[:TEXT]) if isinstance(error, JustStored) else None
        receiver.fail(number, again or error)
        _refuse(receiver, file, error)
        return
    if (file.size or 0) >= _LONG:
        staging.keep_beside()
    incoming = _Incoming(receiver, file, number, path, staging)
    try:
        incoming.run()
    except BaseException as error:
        # Whatever ends the lane interrupts the file, also a goodbye of ours; what is kept is nobody's who was cast out.
        ended = isinstance(error, LinkError) or (receiver.lane.stopped and not isinstance(error, Denied))
        staging.close("interrupted" if ended else "failed")
        raise


def _begin(receiver: "Receiver", file: File, path: Parts) -> Staging:
    to, lane = receiver.to, receiver.lane
    source = b""
    if file.source:
        source = b"\0".join((to.by.encode(), "/".join(path).encode(), file.source))
    taken = CallError("another command of yours goes on with this file")
    try:
        with lane.resting():  # for who had it before us to let go
            staging = to.area.begin(path, to.by, source=source, stop=lambda: lane.stop(taken))
    except OSError as error:
        raise told(error, path) from error
    staging.size = file.size
    return staging


def _refuse(receiver: "Receiver", file: File, error: CallError) -> None:
    """Say so, and pass over what comes of it all the same."""
    lane = receiver.lane
    if file.source:
        lane.say(No(error.code, str(error)[:TEXT]))
    while True:
        kind, size = lane.header()
        if kind is Kind.MESSAGE:
            message = lane.payload(size)
            if isinstance(message, Done | Broken):
                return
            if not isinstance(message, From | Alive):
                raise ProtocolError(f"{type(message).__name__} within a file")
        else:
            skip(receiver, size)


def skip(receiver: "Receiver", size: int) -> None:
    """Read and forget."""
    while size:
        piece = receiver.buffer[: min(size, len(receiver.buffer))]
        receiver.lane.read_into(piece)
        size -= len(piece)


class _Incoming:
    def __init__(self, receiver: "Receiver", file: File, number: int, path: Parts, staging: Staging) -> None:
        self._receiver = receiver
        self._lane = receiver.lane
        self._file = file
        self._number = number
        self._path = path
        self._staging = staging
        self._asked = bool(file.source)
        self._deaf = self._asked
        "What comes does not count: until `From`, or, when it has failed, to its end."
        self._failed: CallError | Failure | None = None
        self._agains = 0
        self._since_mark = 0
        self._room = file.size or 0
        "Bytes there is room for."

    def run(self) -> None:
        if self._asked:
            for offset, digest in self._staging.marks():
                self._lane.send(mark_frame(offset, digest))
            self._lane.say(Ready())
        while True:
            kind, size = self._lane.header()
            if kind is Kind.DATA:
                self._data(size)
            elif kind is Kind.HOLE:
                self._hole()
            elif kind is Kind.MARK:
                self._mark(*self._lane.mark())
            elif self._message(size):
                return

    def _data(self, size: int) -> None:
        receiver, lane, staging = self._receiver, self._lane, self._staging
        self._within_block(size)
        while size:
            place = staging.place()
            piece = (place or receiver.buffer)[:size]
            lane.read_into(piece)
            size -= len(piece)
            if self._deaf:
                continue
            try:
                self._make_room(staging.offset + len(piece))
                if place is None:
                    staging.write(piece)
                else:
                    staging.beside(len(piece))
            except OSError as error:
                self._fail(told(error, self._path))
                continue
            except CallError as error:
                self._fail(error)
                continue
            self._receiver.to.wrote(len(piece))
            self._receiver.watcher.moved(len(piece))

    def _make_room(self, end: int) -> None:
        """For what is longer than was said, or of a length that nobody knew."""
        if end > self._room:
            more = max(BLOCK, end - self._room)
            self._receiver.to.room(more)
            self._room += more

    def _hole(self) -> None:
        (size,) = HOLE.unpack(self._lane.exactly(HOLE.size))
        self._within_block(size)
        if self._deaf:
            return
        try:
            self._make_room(self._staging.offset + size)
            self._staging.hole(size)
        except OSError as error:
            self._fail(told(error, self._path))
        except CallError as error:
            self._fail(error)
        else:
            self._receiver.watcher.moved(size)

    def _within_block(self, size: int) -> None:
        """A mark is due at each block's end, so nothing goes beyond it."""
        self._since_mark += size
        if self._since_mark > BLOCK:
            raise ProtocolError(f"{self._since_mark:,} bytes of a file without a mark")

    def _mark(self, offset: int, digest: bytes) -> None:
        self._since_mark = 0
        if self._deaf:
            return
        before = self._staging.offset
        try:
            right = self._staging.mark(offset, digest)
        except OSError as error:
            self._fail(told(error, self._path))
            return
        if right:
            if self._asked:
                self._lane.say(Verified(offset))
            return
        self._agains += 1
        self._receiver.watcher.moved(self._staging.offset - before)
        if self._asked and self._agains <= self._receiver.limits.lane_repeats:
            self._deaf = True
            self._lane.say(Again(self._staging.verified))
        else:
            self._fail(Failure(self._number, DAMAGED, "it was damaged on the way"))

    def _message(self, size: int) -> bool:
        """True when the file is over."""
        match self._lane.payload(size):
            case From(offset):
                self._from(offset)
                return False
            case Alive():
                return False
            case Done():
                self._done()
                return True
            case Broken(code, message):
                self._broken(code, message)
                return True
            case other:
                raise ProtocolError(f"{type(other).__name__} within a file")

    def _from(self, offset: int) -> None:
        self._since_mark = 0
        if self._failed is not None:
            return
        # Going back further than asked costs reading it all again: at the beginning only.
        if not self._deaf or (self._agains and offset != self._staging.verified):
            raise ProtocolError(f"from {offset}, which was not asked for")
        before = self._staging.offset
        if not self._staging.start(offset):
            raise ProtocolError(f"from {offset}, which is not here")
        if self._deaf and not self._agains:
            self._receiver.watcher.moved(offset)  # what was here before
        else:
            self._receiver.watcher.moved(offset - before)
        self._deaf = False

    def _done(self) -> None:
        staging = self._staging
        if self._failed is None and (self._deaf or staging.offset != staging.verified):
            raise ProtocolError("a file that ends without its last mark")
        if self._failed is not None:
            self._give_up(self._failed)
            return
        try:
            arrived = staging.finish(self._file.mode & 0o777 | 0o600, self._file.mtime)
        except OSError as error:
            self._give_up(told(error, self._path))
            return
        if self._file.size is None:
            self._receiver.watcher.sized(arrived.size)
        to = self._receiver.to
        self._receiver.add(self._number, Parcel(arrived, self._path, to.by, to.replaces(self._path), staging))

    def _broken(self, code: str, message: str) -> None:
        self._give_up(self._failed or Failure(self._number, code or "broken", message[:TEXT]))

    def _fail(self, error: CallError | Failure) -> None:
        self._failed = self._failed or error
        self._deaf = True
        if self._asked:
            code, message = error.code, str(error) if isinstance(error, CallError) else error.message
            self._lane.say(No(code, message[:TEXT]))

    def _give_up(self, error: CallError | Failure) -> None:
        self._receiver.fail(self._number, error)
        self._staging.close("failed")

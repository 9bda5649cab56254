"""One file that goes out in blocks: each with the digest of all so far, and again from where it was damaged.

What is sent is a `Source`: a file of the disk, a pipe, a file that is itself still on its way. This is what they share:
agreeing where to begin, marks, answers, going back, and the word at the end.
"""

from typing import TYPE_CHECKING, Protocol

from blake3 import blake3

from tieline.errors import ProtocolError
from tieline.lanes.walking import reason
from tieline.store.files.names import Parts
from tieline.wire.lane import BLOCK, Kind, mark_frame
from tieline.wire.lane_messages import TEXT, Again, Broken, Done, File, From, Kept, No, Ready, Verified

if TYPE_CHECKING:
    from tieline.lanes.sending import Sender


UNREADABLE = "unreadable"
"The code of a file that the disk does not give."


class RefusedError(Exception):
    """The other side does not want the file."""


class NotGivenError(Exception):
    """The source does not give the file, as opposed to trouble with the lane; `code` and sentence say why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Reading:
    """Around reading a file that is to be sent: what the disk refuses is about this file alone."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise NotGivenError(UNREADABLE, f"it cannot be read: {reason(error)}") from error


READING = _Reading()


class Standing:
    """How far a file has come. A pipe's outlives its lanes, for what was read from it cannot be read again."""

    def __init__(self) -> None:
        self.offset = 0
        "Where the next byte is from."
        self.verified = 0
        "What is before it need not be sent again."
        self.hasher = blake3()
        "Of all before `offset`."
        self.good: dict[int, blake3] = {0: blake3()}
        "The hasher as it was at each block's end that is not verified yet, and at the last that is."


class Source(Protocol):
    """A file to send. What it cannot give it raises as NotGivenError."""

    size: int | None
    mode: int
    mtime: int | None
    source: bytes
    "Named so that the other side may have some of it already, and may ask for blocks again; empty when it may not."
    window: int
    "Blocks that may be on their way unverified."
    standing: Standing

    def send(self, sender: "Sender") -> bool:
        """Send some, at most to the end of the block, and count and hash it in `standing`; False at the end of all."""

    def matches(self, offset: int, digest: bytes) -> bool:
        """Whether it has this digest up to there; if so `standing.good` has the hasher. Asked in rising order."""

    def forget(self, verified: int) -> None:
        """What is before this offset will not be asked for again."""

    def check(self) -> None:
        """All of it was sent: was it one file all the while?"""


def send_blocks(sender: "Sender", root: int, path: Parts, source: Source) -> None:
    """Send an open file. It is one item, whatever becomes of it."""
    lane = sender.lane
    sender.watcher.item(root, path, source.size or 0)
    lane.say(File(root, list(path), source.size, source.mode, source.mtime, source.source))
    blocks = _Blocks(sender, source)
    try:
        blocks.run()
        source.check()
    except RefusedError:
        lane.say(Broken("", ""))  # why is known to the other side
    except NotGivenError as error:
        blocks.settle()
        lane.say(Broken(error.code, str(error)[:TEXT]))
    else:
        if source.size is None:
            sender.watcher.sized(source.standing.offset)
        lane.say(Done())


class _Blocks:
    def __init__(self, sender: "Sender", source: Source) -> None:
        self._sender = sender
        self._lane = sender.lane
        self._source = source
        self._standing = source.standing
        self._asked = bool(source.source)
        self._marked = 0

    def run(self) -> None:
        if self._asked:
            self._agree()
        while self._some():
            pass

    def settle(self) -> None:
        """Hear what is still to be said of the blocks that were sent: it must not be taken for the next file's."""
        standing = self._standing
        try:
            while self._asked and standing.verified < self._marked:
                self._heed(waiting=True)
        except RefusedError:
            pass

    def _some(self) -> bool:
        """A little further; False when all is sent, and verified if it can be."""
        standing = self._standing
        more = self._source.send(self._sender)
        if not more or standing.offset % BLOCK == 0:
            self._mark()
        if not self._asked:
            self._sender.heed_all()
            return more
        more = self._heed(waiting=standing.offset - standing.verified >= self._source.window * BLOCK) or more
        while not more and standing.verified < standing.offset:
            more = self._heed(waiting=True)
        return more

    def _mark(self) -> None:
        standing = self._standing
        if self._asked:
            standing.good[standing.offset] = standing.hasher.copy()
        self._marked = standing.offset
        self._lane.send(mark_frame(standing.offset, standing.hasher.digest()))

    def _agree(self) -> None:
        """Hear what is there, and begin behind the last block that is the same on both sides."""
        agreed = 0
        while True:
            kind, size = self._lane.header(self._sender.limits.lane_commit)
            if kind is Kind.MARK:
                offset, digest = self._lane.mark()
                if self._source.matches(offset, digest):
                    agreed = offset
                continue
            if kind is not Kind.MESSAGE:
                raise ProtocolError(f"a {kind.name} frame where marks were due")
            match self._sender.heed(self._lane.payload(size)):
                case Ready():
                    break
                case No():
                    raise RefusedError
                case Kept():
                    pass
                case other:
                    raise ProtocolError(f"{type(other).__name__} where marks were due")
        if agreed < self._standing.verified:
            raise NotGivenError("conflict", "what was read of it is gone on both sides; it cannot be sent again")
        self._verified(agreed)
        self._sender.watcher.moved(agreed)
        self._from(agreed)

    def _heed(self, *, waiting: bool) -> bool:
        """Heed what has come; with `waiting`, at least one answer. True when we are to go back."""
        back = False
        while waiting or self._lane.readable():
            waiting = False
            match self._sender.heed(self._lane.message(self._sender.limits.lane_commit)):
                case Verified(offset):
                    self._verified(self._known(offset))
                case Again(offset):
                    self._from(self._known(offset))
                    back = True
                case No():
                    raise RefusedError
                case Kept():
                    pass
                case other:
                    raise ProtocolError(f"{type(other).__name__} while a file is sent")
        return back

    def _known(self, offset: int) -> int:
        if offset not in self._standing.good:
            raise ProtocolError(f"{offset} is no block's end that is on its way")
        return offset

    def _verified(self, offset: int) -> None:
        standing = self._standing
        standing.verified = offset
        standing.good = {at: hasher for at, hasher in standing.good.items() if at >= offset}
        self._source.forget(offset)

    def _from(self, offset: int) -> None:
        standing = self._standing
        standing.offset = offset
        standing.hasher = standing.good[offset].copy()
        standing.good = {offset: standing.good[offset]}
        self._marked = offset
        self._lane.say(From(offset))

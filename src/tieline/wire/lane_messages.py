"""What a lane's two sides say to each other, and how much of it at once. Pure: bytes in, bytes out.

A lane has a bulk side, which sends files, and a keeping side, which answers; which is which, the client's Put or Get
says. Items (folders, links, files) are counted from 0 in the order they are sent, and acknowledged by that number.
"""

from typing import Annotated

import msgspec

from tieline.errors import ProtocolError
from tieline.wire.lane import HEADER, Kind
from tieline.wire.messages import UNREADABLE

BATCH_FILES = 512
"Files in one batch at most."

GROUP = 512
"Items acknowledged by one message at most."

SEEN = 1000
"Files in one message about what is there."

PARTS = 2048
"Names in a path at most: in 4 KiB, the longest that systems open, there is room for no more."

DAMAGED = "damaged"
"The code of a failure that sending the file again may mend: it arrived with another digest."

ROOTS = 1000
"Roots of one Put or Get at most."

TEXT = 300
"Characters of a reason at most, so that those of a whole group fit a message."

Parts = Annotated[list[str], msgspec.Meta(max_length=PARTS)]
"A path below its root; empty for the root itself. Lists are bounded: an item of a byte takes a hundred in memory."
Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"Bytes, or nanoseconds, as disks and databases count them."
Time = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"Unix nanoseconds; some files are older than 1970."
Roots = Annotated[list[str], msgspec.Meta(max_length=ROOTS)]


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The root of the messages; each is an array that begins with its number."""


# -- from the client, one at the beginning ------------------------------------------------------------------------


class Open(Message, frozen=True, tag=1):
    """Who calls, by the token that its link was given."""

    token: bytes
    key: bytes = b""
    "In TLS: seals what the client sends behind this message (`wire/lane_seal.py`)."


class Put(Message, frozen=True, tag=2):
    """The client sends; each root is a path of the server, which first says what it has there (`Seen`)."""

    roots: Roots
    keep: bool = False
    "Never put a file in the place of another."


class Get(Message, frozen=True, tag=3):
    """The server shall send what these paths are, after the client has said what it has of them (`Seen`)."""

    roots: Roots
    wait: bool = False
    "Follow files that are still on their way to the server."


class Seen(Message, frozen=True, tag=4):
    """What the keeping side has already in one folder: (name, size, mtime in ns). `folder` ends with `SeenAll`."""

    root: int
    folder: Parts
    files: Annotated[list[tuple[str, Size, Time]], msgspec.Meta(max_length=SEEN)]


class SeenAll(Message, frozen=True, tag=5):
    """There is no more."""


# -- from the bulk side -------------------------------------------------------------------------------------------


class Folder(Message, frozen=True, tag=10):
    """A folder; also an empty one."""

    root: int
    path: Parts
    mode: int


class Link(Message, frozen=True, tag=11):
    """A symbolic link to `target`, which is a path from its own folder on, as in the file system."""

    root: int
    path: Parts
    target: str


class Small(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One file of a batch."""

    name: str
    size: Size
    mode: int
    mtime: Time
    digest: bytes


class Batch(Message, frozen=True, tag=12):
    """Small files of one folder; one DATA frame with all their bytes, end to end, follows. When root itself is the
    file, `folder` is empty and the file's name too."""

    root: int
    folder: Parts
    files: Annotated[list[Small], msgspec.Meta(max_length=BATCH_FILES)]


class File(Message, frozen=True, tag=13):
    """One file: DATA and HOLE frames follow, a MARK at each whole block and at its end, then `Done`.

    When `source` is given the keeping side first says what it has of it: MARK frames, then `Ready`; the bulk side
    answers with `From`.
    """

    root: int
    path: Parts
    size: Size | None
    "As far as it is known."
    mode: int
    mtime: Time | None
    "Nanoseconds; None for what is not a file, such as standard input."
    source: bytes = b""
    "Changes when the file does. What was kept of an interrupted transfer goes on only with the same."


class From(Message, frozen=True, tag=14):
    """The bytes that follow begin here. What the keeping side has beyond is forgotten."""

    offset: Size


class Done(Message, frozen=True, tag=15):
    """The current file is complete, and the last MARK holds of the whole."""


class Broken(Message, frozen=True, tag=16):
    """The current file cannot be finished."""

    code: str
    message: str


class Left(Message, frozen=True, tag=17):
    """Something that is not sent, and why. It has no number."""

    root: int
    path: Parts
    code: str
    message: str


class End(Message, frozen=True, tag=18):
    """All has been sent; the keeping side answers when all is kept."""

    same: int = 0
    "Files that were not sent because they are there."
    same_bytes: int = 0


# -- from the keeping side ----------------------------------------------------------------------------------------


class Opened(Message, frozen=True, tag=30):
    """The token was good."""

    key: bytes = b""
    "In TLS: seals what the server sends behind this message."


class Ready(Message, frozen=True, tag=31):
    """The marks are told; where do we begin?"""


class No(Message, frozen=True, tag=36):
    """The current file is not wanted, or no more; the bulk side answers with `Broken` and goes on with the next."""

    code: str
    message: str


class Verified(Message, frozen=True, tag=32):
    """The current file is right up to here."""

    offset: Size


class Again(Message, frozen=True, tag=33):
    """What came behind this place was damaged on the way; nothing counts until `From` this offset or an earlier."""

    offset: Size


class Failure(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One item that is not kept."""

    number: int
    code: str
    message: str


class Note(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Something to know of an item that is kept."""

    number: int
    text: str


class Kept(Message, frozen=True, tag=34):
    """All items before `count` are kept for good, but for these failures."""

    count: int
    failures: Annotated[list[Failure], msgspec.Meta(max_length=GROUP)] = []
    notes: Annotated[list[Note], msgspec.Meta(max_length=GROUP)] = []


class AllKept(Message, frozen=True, tag=35):
    """The answer to `End`, behind the last `Kept`."""


# -- either side --------------------------------------------------------------------------------------------------


class Alive(Message, frozen=True, tag=40):
    """Nothing new, but still here."""


class Closing(Message, frozen=True, tag=41):
    """The lane ends, and why."""

    code: str
    message: str


AnyMessage = (
    Open | Put | Get | Seen | SeenAll | Folder | Link | Batch | File | From | Done | Broken | Left | End | Opened
    | Ready | No | Verified | Again | Kept | AllKept | Alive | Closing
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)


def message_frame(message: Message) -> bytes:
    """A message as a frame."""
    payload = _encoder.encode(message)
    return HEADER.pack(len(payload), Kind.MESSAGE) + payload


def read_message(payload: bytes | bytearray | memoryview) -> AnyMessage:
    """Raises ProtocolError when it is none."""
    try:
        found: AnyMessage = _decoder.decode(payload)
        return found
    except UNREADABLE as error:
        raise ProtocolError(f"not a message of a lane: {error}") from error

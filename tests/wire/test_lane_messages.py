"""Messages of a lane: none holds lists that decode to far more than the bytes that were read."""

import msgspec
import pytest

from tieline.errors import ProtocolError
from tieline.wire.lane_messages import (
    BATCH_FILES,
    GROUP,
    PARTS,
    ROOTS,
    SEEN,
    Batch,
    Failure,
    File,
    Folder,
    Get,
    Kept,
    Left,
    Link,
    Message,
    Note,
    Put,
    Seen,
    Small,
    read_message,
)

DEEP = ["x"] * PARTS
LONGEST: list[Message] = [
    Put(["/"] * ROOTS),
    Get(["/"] * ROOTS),
    Seen(0, DEEP, [("x", 1, 1)] * SEEN),
    Folder(0, DEEP, 0o755),
    Link(0, DEEP, "x"),
    Batch(0, DEEP, [Small("x", 0, 0, 0, b"")] * BATCH_FILES),
    File(0, DEEP, 1, 0o644, 1),
    Left(0, DEEP, "refused", "no"),
    Kept(1, [Failure(0, "denied", "no")] * GROUP, [Note(0, "so")] * GROUP),
]
LISTS = [
    (message, field.name)
    for message in LONGEST
    for field in msgspec.structs.fields(message)
    if isinstance(getattr(message, field.name), list)
]


@pytest.mark.parametrize("message", LONGEST, ids=lambda message: type(message).__name__)
def test_what_is_as_long_as_it_may_be_is_read(message: Message) -> None:
    assert read_message(msgspec.msgpack.encode(message)) == message


@pytest.mark.parametrize(("message", "name"), LISTS, ids=[f"{type(each).__name__} {name}" for each, name in LISTS])
def test_one_more_is_no_message(message: Message, name: str) -> None:
    items = getattr(message, name)
    longer = msgspec.structs.replace(message, **{name: [*items, items[0]]})
    with pytest.raises(ProtocolError):
        read_message(msgspec.msgpack.encode(longer))

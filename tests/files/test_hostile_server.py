"""A server that sends what was not asked for, under names that lead elsewhere (CVE-2019-6111 and its kin)."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from tests.lanes.conftest import Pair

from tieline.errors import CallError, LinkError
from tieline.files.local import LocalDestination
from tieline.files.tally import Tally
from tieline.lanes.connection import Lane
from tieline.lanes.receiving import Receiver
from tieline.wire.lane import HEADER, Kind, mark_frame
from tieline.wire.lane_messages import AllKept, Batch, End, File, Folder, Link, Message, Small, message_frame
from tieline.wire.lane_messages import Done as FileDone

EVIL = b"evil"


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def small(name: str) -> Small:
    return Small(name, len(EVIL), 0o4777, 1, blake3(EVIL).digest())


def batch(root: int, folder: list[str], name: str) -> bytes:
    return message_frame(Batch(root, folder, [small(name)])) + HEADER.pack(len(EVIL), Kind.DATA) + EVIL


def long(root: int, path: list[str]) -> bytes:
    head = message_frame(File(root, path, len(EVIL), 0o777, 1)) + HEADER.pack(len(EVIL), Kind.DATA) + EVIL
    return head + mark_frame(len(EVIL), blake3(EVIL).digest()) + message_frame(FileDone())


def frame(message: Message) -> bytes:
    return message_frame(message)


CASES: dict[str, Callable[[], bytes]] = {
    "up": lambda: batch(0, [], "../evil"),
    "up in a folder": lambda: batch(0, ["..", ".."], "evil"),
    "dots": lambda: batch(0, [], ".."),
    "absolute": lambda: batch(0, [], "/tmp/evil"),
    "not asked for": lambda: batch(1, [], "evil"),
    "negative": lambda: batch(-1, [], "evil"),
    "NUL": lambda: batch(0, [], "a\0b"),
    "long file up": lambda: long(0, ["..", "evil"]),
    "long file elsewhere": lambda: long(7, ["evil"]),
    "folder up": lambda: frame(Folder(0, ["..", "evil"], 0o777)),
    "link up": lambda: frame(Link(0, ["out"], "../../outside")),
    "link absolute": lambda: frame(Link(0, ["out"], "/etc")),
    "through a link": lambda: frame(Link(0, ["out"], "inside")) + batch(0, ["out"], "evil"),
    "staging": lambda: batch(0, [".tieline-staging"], "evil"),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_written_outside_of_what_was_asked_for(pair: Pair, tmp_path: Path, case: str) -> None:
    outside, where = tmp_path / "outside", tmp_path / "a" / "here"
    outside.mkdir()
    (where / "target" / "inside").mkdir(parents=True)
    destination = LocalDestination(where, [("target",)], server="x")
    tally = Tally(lambda root, path: "/".join(path), None)

    def server(lane: Lane) -> None:
        lane.send(CASES[case]() + message_frame(End()))
        while not isinstance(lane.message(), AllKept):
            pass

    pair.there(server)
    before = {path for path in tmp_path.rglob("*") if ".tieline" not in str(path)}
    try:
        Receiver(pair.here, destination, tally).run()
    except (CallError, LinkError):
        pass
    finally:
        pair.close()
        destination.close()
    new = {path for path in tmp_path.rglob("*") if ".tieline" not in str(path)} - before
    assert {path.relative_to(where).parts[0] for path in new} <= {"target"}
    assert not any(path.is_file() for path in new)
    assert not os.listdir(outside)


def test_special_bits_of_a_server_are_not_taken_over(pair: Pair, tmp_path: Path) -> None:
    destination = LocalDestination(tmp_path, [("target",)], server="x")

    def server(lane: Lane) -> None:
        lane.send(batch(0, [], "fine") + message_frame(End()))
        while not isinstance(lane.message(), AllKept):
            pass

    pair.there(server)
    Receiver(pair.here, destination, Tally(lambda root, path: "", None)).run()
    destination.close()
    assert (tmp_path / "target" / "fine").stat().st_mode & 0o7000 == 0

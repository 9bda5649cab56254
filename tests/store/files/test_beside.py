"""Pieces that are hashed and written beside: in their order, and what the disk refuses is told to who goes on."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from tieline.store.files.beside import Beside


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    monkeypatch.setattr(Beside, "_free", threading.Semaphore(1))
    made = Beside.take()
    assert made is not None
    yield made
    made.close()


def keep(beside: Beside, hasher: blake3, descriptor: int, data: bytes) -> None:
    beside.place()[: len(data)] = data
    beside.keep(hasher, descriptor, len(data))


def test_pieces_are_kept_in_their_order(beside: Beside, tmp_path: Path) -> None:
    pieces = [os.urandom(100_000 + number) for number in range(50)]
    hasher, whole = blake3(), b"".join(pieces)
    with (tmp_path / "x").open("wb", buffering=0) as file:
        for number, piece in enumerate(pieces):
            keep(beside, hasher, file.fileno(), piece)
            if number % 7 == 0:
                beside.place()[:4] = b"next"  # the place of the next one may be taken before it is waited for
                beside.wait()
        beside.wait()
        beside.wait()
    assert (tmp_path / "x").read_bytes() == whole
    assert hasher.digest() == blake3(whole).digest()


def test_what_the_disk_refuses_is_raised_once_and_nothing_is_written_behind_it(beside: Beside, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with (tmp_path / "x").open("rb") as closed, (tmp_path / "y").open("wb", buffering=0) as other:
        keep(beside, blake3(), closed.fileno(), b"a")

        def go_on() -> None:
            for _ in range(100):
                keep(beside, blake3(), other.fileno(), b"b")
            beside.wait()

        with pytest.raises(OSError, match="Bad file descriptor"):
            go_on()
        assert (tmp_path / "y").read_bytes() == b""
        keep(beside, blake3(), other.fileno(), b"c")
        beside.wait()
    assert (tmp_path / "y").read_bytes() == b"c"


def test_who_gives_up_hears_nothing_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Beside, "_free", threading.Semaphore(1))
    beside = Beside.take()
    assert beside is not None
    (tmp_path / "x").write_bytes(b"")
    with (tmp_path / "x").open("rb") as closed:
        keep(beside, blake3(), closed.fileno(), b"a")
        beside.close()
    again = Beside.take()
    assert again is not None
    again.close()


def test_there_are_not_more_than_cores_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Beside, "_free", threading.Semaphore(1))
    one = Beside.take()
    assert one is not None
    assert Beside.take() is None
    one.close()
    again = Beside.take()
    assert again is not None
    again.close()

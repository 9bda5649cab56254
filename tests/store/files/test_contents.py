"""The bytes of a file, and the hint to the disk to begin with them."""

import os
from pathlib import Path

from blake3 import blake3

from tieline.store.files.contents import hash_range, hash_zeros, start_writing, write_all


def test_a_hint_to_the_disk_changes_nothing_and_may_fail(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    descriptor = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    try:
        write_all(descriptor, memoryview(data))
        start_writing(descriptor, 0, len(data))
        start_writing(descriptor, len(data), 1 << 40)  # beyond the end
        hasher = blake3()
        hash_range(hasher, descriptor, 0, len(data) + 10)
    finally:
        os.close(descriptor)
    start_writing(descriptor, 0, 10)  # closed
    assert (tmp_path / "x").read_bytes() == data
    assert hasher.digest() == blake3(data).digest()


def test_zeros_are_hashed_as_if_they_were_there() -> None:
    hasher = blake3()
    hash_zeros(hasher, 700_001)
    assert hasher.digest() == blake3(bytes(700_001)).digest()

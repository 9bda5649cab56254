"""Files on their way in: gone on with, taken over, swept, and never in the way of others who use the same folder."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from tieline.errors import Conflict
from tieline.store.files.staging import BLOCK
from tieline.store.files.staging_area import StagingArea
from tieline.store.files.staging_folder import FOLDER


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def data(size: int) -> memoryview:
    return memoryview(os.urandom(size))


def test_what_came_is_hashed_anew_and_gone_on_with(root: int) -> None:
    first, second, rest = data(BLOCK), data(BLOCK), data(5)
    area = StagingArea(root)
    staging = area.begin(("x",), "ada", source=b"s")
    staging.write(first)
    assert staging.mark(BLOCK, blake3(first).digest())
    staging.write(second)  # not verified
    staging.close("interrupted")
    again = area.begin(("x",), "ada", source=b"s")
    whole = blake3(first)
    assert list(again.marks()) == [(BLOCK, whole.digest()), (2 * BLOCK, whole.update(second).digest())]
    assert again.start(BLOCK)
    again.write(second)
    again.write(rest)
    assert again.mark(2 * BLOCK + 5, blake3(bytes(first) + bytes(second) + bytes(rest)).digest())
    arrived = again.finish(0o644, 7)
    assert (arrived.size, arrived.mtime) == (2 * BLOCK + 5, 7)
    again.close("whole")
    area.close()


def test_a_wrong_mark_takes_back_what_came_since_the_last_right_one(root: int, tmp_path: Path) -> None:
    block = data(BLOCK)
    area = StagingArea(root)
    staging = area.begin(("x",), source=b"s")
    staging.keep_beside()
    for _ in range(16):
        staging.write(block[: BLOCK // 16])
    assert not staging.mark(BLOCK, b"?" * 32)
    assert (staging.offset, staging.verified) == (0, 0)
    staging.write(block)
    assert staging.mark(BLOCK, blake3(block).digest())
    assert (tmp_path / FOLDER / staging.name).read_bytes() == bytes(block)
    staging.close("failed")
    area.close()
    assert not (tmp_path / FOLDER).exists()


def test_what_is_anothers_is_not_gone_on_with(root: int) -> None:
    area = StagingArea(root)
    for by, source in (("ada", b"1"), ("ada", b"2"), ("bob", b"1")):
        staging = area.begin(("x",), by, source=source)
        assert os.fstat(staging.fd).st_size == 0
        staging.write(data(BLOCK))
        staging.close("interrupted")
    assert len(os.listdir(area.fd)) == 3
    area.close()


def test_the_oldest_of_an_owner_gives_way_and_nobody_elses(root: int) -> None:
    area = StagingArea(root, keep=2 * BLOCK)
    names = []
    for by in ("bob", "ada", "ada", "ada"):
        staging = area.begin((by,), by, source=b"%d" % len(names))
        staging.write(data(BLOCK))
        names.append(staging.name)
        staging.close("interrupted")
    area.begin(("ada",), "ada", source=b"new").close("failed")
    assert sorted(os.listdir(area.fd)) == sorted([names[0], *names[2:]])
    area.close()


def test_what_is_too_old_is_swept_by_the_time_it_came_not_by_its_own(root: int) -> None:
    now = [0.0]
    area = StagingArea(root, keep_for=100.0, clock=lambda: now[0])
    fresh = area.whole(data(10), 0o644, 1, b"")  # a file of 1970
    staging = area.begin(("x",), source=b"s")
    staging.close("interrupted")
    now[0] = os.stat(fresh.name, dir_fd=area.fd).st_ctime + 50
    assert area.sweep(alone=False) == 0
    now[0] += 100
    assert area.sweep(alone=False) == 2
    area.close()


def test_what_is_gone_on_with_on_its_senders_word_is_what_was_kept_in_order(root: int, tmp_path: Path) -> None:
    body = data(3 << 20)
    area = StagingArea(root)
    assert area.kept(("x",), "ada") is None
    staging = area.begin(("x",), "ada")
    staging.write(body)
    os.write(staging.fd, b"half a write")  # by a disk that is full
    area.keep(staging, 4 << 20)
    kept = area.kept(("x",), "ada")
    assert kept is not None
    assert (kept.here, kept.size) == (3 << 20, 4 << 20)
    assert area.kept(("x",), "bob") is None
    assert area.kept(("y",), "ada") is None
    again = area.go_on(kept, ("x",), "ada", 1 << 20)
    assert again is not None
    assert area.go_on(kept, ("x",), "ada", 1 << 20) is None, "of two who come for it one gets it"
    assert area.kept(("x",), "ada") is None
    again.write(body[1 << 20 :])
    assert again.finish(0o644, None).digest == blake3(body).digest()
    again.close("whole")
    area.close()


def test_what_a_killed_server_left_of_it_is_not_believed(root: int) -> None:
    area = StagingArea(root)
    staging = area.begin(("x",), "ada")
    staging.write(data(3 << 20))
    os.close(staging.fd)
    os.close(area.fd)
    area = StagingArea(root)
    assert area.sweep(alone=True) == 1
    assert area.kept(("x",), "ada") is None
    area.close()


def test_an_owner_sees_and_forgets_what_nobody_is_at(root: int) -> None:
    area = StagingArea(root)
    for by, path in (("ada", "a"), ("ada", "b"), ("bob", "c")):
        staging = area.begin((path,), by, source=path.encode())
        staging.write(data(8192))
        staging.close("interrupted")
    going_on = area.begin(("a",), "ada", source=b"a")
    assert (area.held("ada").files, area.held("ada").bytes) == (1, 8192)
    assert area.forget("ada").files == 1
    assert (area.held("ada").files, area.held("ada").oldest) == (0, 0.0)
    assert area.held("bob").files == 1
    going_on.close("interrupted")
    assert area.held("ada").files == 1
    area.close()


def test_whoever_leaves_first_does_not_take_the_folder_from_under_another(root: int) -> None:
    one, other = StagingArea(root), StagingArea(root)
    one.close()
    arrived = other.whole(data(10), 0o644, 1, b"")
    third = StagingArea(root)
    assert arrived.name in os.listdir(third.fd)
    other.discard(arrived.name)
    other.close()
    third.close()
    assert FOLDER not in os.listdir(root)


def test_two_programs_do_not_write_the_same_file(root: int) -> None:
    one, other = StagingArea(root), StagingArea(root)
    staging = one.begin(("x",), source=b"s")
    with pytest.raises(Conflict, match="another program"):
        other.begin(("x",), source=b"s")
    staging.close("interrupted")
    other.begin(("x",), source=b"s").close("failed")
    one.close()
    other.close()


def test_names_of_two_who_use_the_folder_do_not_meet(root: int) -> None:
    one, other = StagingArea(root), StagingArea(root)
    names = {area.whole(data(1), 0o644, 1, b"").name for area in (one, other) for _ in range(5)}
    assert len(names) == 10
    one.close()
    other.close()


def test_many_threads_that_look_at_once_see_all_that_is_kept(root: int) -> None:
    area = StagingArea(root)
    for number in range(100):
        staging = area.begin((f"x{number}",), "ada")
        staging.write(data(10))
        area.keep(staging, 20)
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda number: area.kept((f"x{number % 100}",), "ada"), range(2000)))
    assert None not in seen
    area.close()

"""A disk that is full, broken or not ours to write: a clear error, nothing half there, and it goes on afterwards."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.small_disks import small_disk

from tieline.errors import CallError, Conflict, InvalidArgument, NotFound, Overloaded, Unavailable
from tieline.store.files.tree import Tree
from tieline.store.files.trouble import telling, told


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter MiB and 64 files."""
    with small_disk(tmp_path / "disk", "256k,nr_inodes=64") as place:
        yield place


def test_a_full_disk_is_said_in_a_sentence_and_nothing_half_is_left(disk: Path) -> None:
    with Tree(disk / "files") as tree:
        tree.make(("a",))
        made = 0
        while made < 100:
            try:
                tree.make(("a", f"d{made}"))
            except Unavailable as error:
                assert "disk is full" in str(error)  # noqa: PT017
                break
            made += 1
        assert made < 100
        assert len(list(tree.walk(()))) == made + 1
        tree.remove(("a", "d0"))
        tree.make(("b",))


def test_a_disk_that_may_only_be_read_is_still_read(disk: Path) -> None:
    with Tree(disk / "files") as tree:
        tree.make(("a",))
        (disk / "files" / "a" / "x").write_text("hello")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for change in (
            lambda: tree.make(("b",)),
            lambda: tree.remove(("a", "x")),
            lambda: tree.remove(("a",), whole=True),
            lambda: tree.move(("a", "x"), ("y",)),
        ):
            with pytest.raises(Unavailable, match="disk failed"):
                change()
        opened = tree.open(("a", "x"))
        assert os.read(opened.fd, 10) == b"hello"
        os.close(opened.fd)
        assert [parts for parts, _ in tree.walk(())] == [("a",), ("a", "x")]


def test_another_disk_mounted_within_is_read_and_not_moved_to(disk: Path, tmp_path: Path) -> None:
    with Tree(tmp_path / "files") as tree:
        tree.make(("inner",))
        tree.make(("x",))
        subprocess.run(["mount", "--bind", disk, tmp_path / "files" / "inner"], check=True)
        try:
            (disk / "there").write_text("x")
            assert tree.stat(("inner", "there")).kind == "file"
            with pytest.raises(Conflict, match="another disk"):
                tree.move(("x",), ("inner", "x"))
            with pytest.raises(CallError):
                tree.remove(("inner",), whole=True)
        finally:
            subprocess.run(["umount", tmp_path / "files" / "inner"], check=True)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ENOENT, NotFound, "there is no /a/b"),
        (errno.ENOTDIR, NotFound, "no folder"),
        (errno.ELOOP, NotFound, "symbolic link"),
        (errno.EEXIST, Conflict, "there already"),
        (errno.ENOTEMPTY, Conflict, "not empty"),
        (errno.EXDEV, Conflict, "another disk"),
        (errno.ENAMETOOLONG, InvalidArgument, "too long"),
        (errno.EMFILE, Overloaded, "too many files open"),
        (errno.ENOSPC, Unavailable, "full"),
        (errno.EDQUOT, Unavailable, "full"),
        (errno.EIO, Unavailable, "failed"),
        (errno.EROFS, Unavailable, "failed"),
        (errno.EACCES, Unavailable, "permissions"),
    ],
)
def test_each_trouble_has_its_words(code: int, kind: type[CallError], words: str) -> None:
    error = told(OSError(code, os.strerror(code)), ("a", "b"))
    assert type(error) is kind
    assert words in str(error)
    assert error.data == {"path": "/a/b"}


def test_an_error_keeps_what_it_came_from() -> None:
    with pytest.raises(Unavailable) as raised, telling(("a",)):
        raise OSError(errno.EIO, "boom")
    assert isinstance(raised.value.__cause__, OSError)


def test_running_out_of_descriptors_is_overload_and_passes(tree: Tree, root: Path) -> None:
    import resource

    (root / "x").write_text("x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        while True:
            held.append(os.dup(tree.fd))
    except OSError:
        with pytest.raises(Overloaded, match="too many files open"):
            tree.open(("x",))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)
    os.close(tree.open(("x",)).fd)

"""Deleting what was removed: all of it that can be, the rest is told and kept for another time."""

import errno
import os
from pathlib import Path

import pytest

from tieline.store.files.trash import NAME
from tieline.store.files.tree import Tree


def test_what_cannot_be_deleted_is_told_and_does_not_keep_the_rest(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        (root / name).mkdir()
        (root / name / "file").write_text("x")
    (root / "b" / "stuck").write_text("x")
    unlink = os.unlink

    def stubborn(path: str, *, dir_fd: int) -> None:
        if path == "stuck":
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", stubborn)
    for name in ("a", "b", "c"):
        tree.remove((name,), whole=True)
    assert tree.empty_trash() >= 4
    assert len(list((root / NAME).iterdir())) == 1
    assert "cannot be deleted" in caplog.text
    monkeypatch.undo()
    assert tree.empty_trash() >= 1
    assert list((root / NAME).iterdir()) == []


def test_a_file_that_comes_late_into_a_removed_folder_goes_with_it(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").mkdir()
    with tree.folder(("a",)) as held:
        tree.remove(("a",), whole=True)
        rmdir, late = os.rmdir, iter(range(3))

        def rmdir_late(name: str, *, dir_fd: int) -> None:
            if next(late, None) is not None:
                os.close(os.open(f"late-{os.urandom(4).hex()}", os.O_CREAT, dir_fd=held.fd))
            rmdir(name, dir_fd=dir_fd)

        monkeypatch.setattr(os, "rmdir", rmdir_late)
        tree.empty_trash()
    assert list((root / NAME).iterdir()) == []


def test_the_trash_itself_is_no_link_that_leads_out(root: Path, outside: Path) -> None:
    root.mkdir()
    os.symlink(outside, root / NAME)
    with pytest.raises(OSError):
        Tree(root)
    assert (outside / "secret.txt").read_text() == "SECRET"


def test_a_wide_and_deep_tree_holds_few_descriptors(tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in range(5):
        for two in range(5):
            (root / "a" / str(one) / str(two) / "x" / "y").mkdir(parents=True)
            (root / "a" / str(one) / str(two) / "file").write_text("")
    tree.remove(("a",), whole=True)
    most, rmdir = 0, os.rmdir

    def counted(name: str, *, dir_fd: int) -> None:
        nonlocal most
        if os.path.isdir("/proc/self/fd"):
            most = max(most, len(os.listdir("/proc/self/fd")))
        rmdir(name, dir_fd=dir_fd)

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    monkeypatch.setattr(os, "rmdir", counted)
    assert tree.empty_trash() == 1 + 5 + 25 * 4
    assert most <= before + 3

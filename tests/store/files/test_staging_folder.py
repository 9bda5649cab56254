"""The staging folder: what lies in it, and how it is left."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tieline.store.files.staging_folder import FOLDER, KEPT, StagingFolder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StagingFolder]:
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    folder = StagingFolder(root)
    yield folder
    folder.close()
    os.close(root)


def put(folder: StagingFolder, name: str, text: bytes = b"x") -> str:
    descriptor = folder.open(name, new=True)
    os.write(descriptor, text)
    os.close(descriptor)
    return name


def test_what_lies_there_is_found_by_how_its_name_begins(folder: StagingFolder) -> None:
    one, other = put(folder, f"{KEPT}ada-1", b"four"), put(folder, f"{KEPT}bob-1")
    assert folder.names(f"{KEPT}ada-") == [one]
    assert sorted(folder.names()) == sorted([one, other])
    assert folder.size(one) == 4


def test_a_new_file_is_never_one_that_is_there(folder: StagingFolder) -> None:
    put(folder, "there")
    with pytest.raises(FileExistsError):
        folder.open("there", new=True)


def test_who_was_here_before_a_restart_is_swept_unless_it_can_be_gone_on_with(folder: StagingFolder) -> None:
    kept, passing = put(folder, f"{KEPT}ada-1"), put(folder, folder.new_name())
    assert folder.sweep(0.0, (), alone=False) == 0  # another process may be at it
    assert folder.sweep(0.0, (), alone=True) == 1
    assert folder.names() == [kept]
    assert folder.sweep(float("inf"), [kept], alone=False) == 0  # somebody is at it
    assert folder.sweep(float("inf"), [], alone=False) == 1
    folder.discard(passing)  # fine when it is gone


def test_what_was_changed_longest_ago_comes_first(folder: StagingFolder) -> None:
    old, new = put(folder, "b"), put(folder, "a")
    changed = os.stat(old, dir_fd=folder.fd).st_ctime_ns
    while os.stat(new, dir_fd=folder.fd).st_ctime_ns == changed:  # a coarse clock of the file system
        os.chmod(new, 0o600, dir_fd=folder.fd)
    assert [left.name for left in sorted(folder.leftovers())] == [old, new]


def test_a_folder_in_which_something_lies_stays(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    folder = StagingFolder(root)
    put(folder, "kept")
    folder.close()
    assert (tmp_path / FOLDER / "kept").exists()
    folder = StagingFolder(root)
    folder.discard("kept")
    folder.close()
    assert not (tmp_path / FOLDER).exists()
    os.close(root)

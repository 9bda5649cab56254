"""Giving a name only where nothing is: by the kernel, and by what every system has."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tieline.store.files import rename
from tieline.store.files.rename import rename_new


@pytest.fixture(params=["kernel", "by other means", "not on this disk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by other means":
        monkeypatch.setattr(rename, "_renameat2", None)
    elif request.param == "not on this disk":
        monkeypatch.setattr(rename, "_renameat2", lambda *_: -1)
        monkeypatch.setattr("ctypes.get_errno", lambda: errno.EINVAL)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield folder
    os.close(folder)


@pytest.mark.usefixtures("way")
def test_a_file_gets_its_name(tmp_path: Path, folder: int) -> None:
    (tmp_path / "a").write_text("a")
    rename_new(folder, "a", folder, "ä")
    assert [path.name for path in tmp_path.iterdir()] == ["ä"]
    assert (tmp_path / "ä").stat().st_nlink == 1


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("there", ["file", "folder", "full folder", "dangling link"])
@pytest.mark.parametrize("moved", ["file", "folder", "link"])
def test_what_is_there_stays(tmp_path: Path, folder: int, there: str, moved: str) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    if there == "file":
        new.write_text("there")
    elif there == "dangling link":
        new.symlink_to("nowhere")
    else:
        new.mkdir()
        if there == "full folder":
            (new / "x").write_text("x")
    if moved == "file":
        old.write_text("old")
    elif moved == "folder":
        old.mkdir()
    else:
        old.symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        rename_new(folder, "old", folder, "new")
    assert os.path.lexists(old)
    assert new.is_symlink() if there == "dangling link" else new.exists()
    assert there != "file" or new.read_text() == "there"


@pytest.mark.usefixtures("way")
def test_folders_and_links_get_theirs(tmp_path: Path, folder: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("x")
    (tmp_path / "l").symlink_to("nowhere")
    rename_new(folder, "a", folder, "b")
    rename_new(folder, "l", folder, "m")
    assert (tmp_path / "b" / "x").read_text() == "x"
    assert os.readlink(tmp_path / "m") == "nowhere"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "m"]


@pytest.mark.usefixtures("way")
def test_what_is_not_there_gets_no_name_and_leaves_nothing(tmp_path: Path, folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        rename_new(folder, "nothing", folder, "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_move_leaves_no_empty_one(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(rename, "_renameat2", None)
    monkeypatch.setattr(rename, "rename", fail)
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="another disk"):
        rename_new(folder, "a", folder, "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]

"""Which names a folder has: known without reading it each time, read anew when another changed it, and bounded."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tieline.errors import Conflict, TooLarge
from tieline.limits import Limits
from tieline.store.files.clashes import Clashes

Open = Callable[[str], int]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    handles: list[int] = []

    def open_(name: str) -> int:
        (tmp_path / name).mkdir(exist_ok=True)
        handles.append(os.open(tmp_path / name, os.O_RDONLY))
        return handles[-1]

    yield open_
    for handle in handles:
        os.close(handle)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time a folder was read."""
    read: list[int] = []
    real = Clashes._read
    monkeypatch.setattr(Clashes, "_read", lambda self, folder: read.append(folder) or real(self, folder))
    return read


def test_a_folder_is_read_once_while_only_the_tree_changes_it(tmp_path: Path, opened: Open, reads: list[int]) -> None:
    clashes, folder = Clashes(Limits()), opened("a")
    for number in range(50):
        clashes.check(folder, f"File{number}", ("a",))
        (tmp_path / "a" / f"File{number}").write_text("")
        clashes.changed(folder, added=(f"File{number}",))
    with pytest.raises(Conflict, match="'File7'"):
        clashes.check(folder, "FILE7", ("a",))
    (tmp_path / "a" / "File7").unlink()
    clashes.changed(folder, removed=("File7",))
    clashes.check(folder, "FILE7", ("a",))
    assert len(reads) == 1


def test_it_is_read_anew_when_somebody_else_changed_it(tmp_path: Path, opened: Open, reads: list[int]) -> None:
    clashes, folder = Clashes(Limits()), opened("a")
    clashes.check(folder, "readme", ("a",))
    (tmp_path / "a" / "README").write_text("")
    os.utime(tmp_path / "a", (1, 1))  # time passes
    with pytest.raises(Conflict):
        clashes.check(folder, "readme", ("a",))
    (tmp_path / "a" / "README").unlink()
    os.utime(tmp_path / "a", (2, 2))
    clashes.check(folder, "readme", ("a",))
    assert len(reads) == 3


def test_only_so_many_names_are_held(tmp_path: Path, opened: Open, reads: list[int]) -> None:
    clashes = Clashes(Limits(folder_entries=100))
    folders = [opened(f"f{number}") for number in range(10)]
    for number, folder in enumerate(folders):
        for name in range(30):
            (tmp_path / f"f{number}" / f"n{name}").write_text("")
        clashes.check(folder, "new", (f"f{number}",))
        assert clashes._held == sum(len(names.by_key) for names in clashes._folders.values()) <= 100
    assert len(clashes._folders) == 3
    clashes.check(folders[0], "new", ("f0",))
    clashes.check(folders[9], "new", ("f9",))
    assert len(reads) == 11, "the one used longest ago was let go"


def test_a_folder_filled_by_hand_beyond_all_bounds_is_full(tmp_path: Path, opened: Open) -> None:
    clashes, folder = Clashes(Limits(folder_entries=10)), opened("a")
    for name in range(25):
        (tmp_path / "a" / str(name)).write_text("")
    with pytest.raises(TooLarge, match="holds 10 entries"):
        clashes.check(folder, "new", ("a",))
    assert clashes._held == 10


def test_names_that_are_no_text_do_not_matter(tmp_path: Path, opened: Open) -> None:
    clashes, folder = Clashes(Limits()), opened("a")
    (tmp_path / "a" / os.fsdecode(b"\xff\xfe")).write_text("")
    clashes.check(folder, "new", ("a",))

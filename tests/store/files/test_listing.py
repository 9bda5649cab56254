"""Listings: in order, in pages, whatever the size of the folder and whatever happens to it meanwhile."""

import os
from pathlib import Path

import pytest

from tieline.limits import Limits
from tieline.store.files.beneath import Walk
from tieline.store.files.listing import _PAGE_BYTES
from tieline.store.files.tree import Tree


def fill(folder: Path, names: list[str], *, age: float = 100.0) -> None:
    """Make empty files; the folder looks as if left alone for so many seconds."""
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    status = folder.stat()
    os.utime(folder, (status.st_atime, status.st_mtime - age))


def all_pages(tree: Tree, *parts: str, limit: int = 1 << 30) -> list[list[str]]:
    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        page = tree.page(parts, after, limit)
        pages.append([entry.name for entry in page.entries])
        after = page.next
    return pages


def flat(pages: list[list[str]]) -> list[str]:
    return [name for page in pages for name in page]


@pytest.mark.parametrize("age", [0.0, 100.0], ids=["just changed", "left alone"])
@pytest.mark.parametrize("limit", [1, 7, 100, 1000, 5000])
def test_pages_together_are_the_folder_in_order(root: Path, limit: int, age: float) -> None:
    names = sorted([f"f{number:05}" for number in range(730)] + ["日本", "ä", "Z", "-rf"])
    with Tree(root, resolver=Walk(), limits=Limits(listing=100)) as tree:
        fill(root / "a", names, age=age)
        pages = all_pages(tree, "a", limit=limit)
        assert flat(pages) == names
        assert max(map(len, pages)) == min(limit, 100)


def test_a_folder_of_a_hundred_thousand_is_listed_in_bounded_pages(root: Path) -> None:
    names = [f"{number:06}" for number in range(100_000)]
    with Tree(root, resolver=Walk()) as tree:
        fill(root / "a", names)
        pages = all_pages(tree, "a")
        assert flat(pages) == names
        assert max(map(len, pages)) == Limits().listing
        assert sum(len(run.names) for run in tree._listing._runs.values()) <= 10 * Limits().listing


def test_what_is_dropped_in_by_hand_is_seen_at_once(tree: Tree, root: Path) -> None:
    fill(root / "a", [f"{number:04}" for number in range(500)])
    assert len(tree.page(("a",)).entries) == 500
    for number in range(20):
        (root / "a" / f"new-{number}").write_text("")
        assert len(tree.page(("a",)).entries) == 501 + number


def test_a_listing_goes_on_while_the_folder_changes(tree: Tree, root: Path) -> None:
    fill(root / "a", [f"{number:04}" for number in range(300)])
    first = tree.page(("a",), "", 100)
    for number in range(50, 150):
        (root / "a" / f"{number:04}").unlink()
    assert first.next == "0099"
    names = [entry.name for entry in tree.page(("a",), first.next, 100).entries]
    assert names == [f"{number:04}" for number in range(150, 250)]


def test_a_page_of_long_names_is_shorter_so_that_it_fits_a_frame(tree: Tree, root: Path) -> None:
    names = sorted("é" * 100 + f"{number:04}" for number in range(1000))
    fill(root / "a", names)
    pages = all_pages(tree, "a")
    assert flat(pages) == names
    for page in pages:
        assert sum(len(name.encode()) + 128 for name in page) < _PAGE_BYTES + 1000


def test_pages_of_nothing_but_impossible_names_still_come_to_an_end(root: Path) -> None:
    with Tree(root, resolver=Walk(), limits=Limits(listing=10)) as tree:
        fill(root / "a", [f"a:{number}" for number in range(25)])
        assert flat(all_pages(tree, "a")) == []
        assert tree.page(("a",)).unnamed == 10


def test_an_empty_folder_is_one_empty_page(tree: Tree, root: Path) -> None:
    (root / "a").mkdir()
    assert tree.page(("a",)).entries == []
    assert tree.page(("a",), "zzz").next is None

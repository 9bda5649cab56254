"""A tree on a real disk, by both ways of resolving paths; and the folder beside it, where nothing may happen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tieline.store.files.beneath import Openat2, Resolver, Walk
from tieline.store.files.tree import Tree


@pytest.fixture(params=["openat2", "walk"])
def resolver(request: pytest.FixtureRequest) -> Resolver:
    """Each story holds for both."""
    if request.param == "walk":
        return Walk()
    try:
        return Openat2()
    except OSError as error:
        pytest.skip(f"this kernel or sandbox has no openat2: {error.strerror}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder beneath which everything is."""
    return tmp_path / "files"


@pytest.fixture
def tree(root: Path, resolver: Resolver) -> Iterator[Tree]:
    with Tree(root, resolver=resolver) as tree:
        yield tree


@pytest.fixture
def outside(tmp_path: Path, root: Path) -> Path:
    """A folder that is none of the tree's business, with something in it."""
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "secret.txt").write_text("SECRET")
    (outside / "inner" / "secret.txt").write_text("SECRET")
    return outside


@pytest.fixture
def staged(tree: Tree, root: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """`staged(text)` puts a file where uploads would lie, and gives what `Folder.place` takes."""
    import os

    folder = root / ".tieline-staging"
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    count = iter(range(1_000_000))

    def stage(text: str) -> tuple[int, str]:
        name = f"upload-{next(count)}"
        (folder / name).write_text(text)
        return descriptor, name

    yield stage
    os.close(descriptor)

"""Somebody on the server's machine swaps folders for links that lead out, while whole folders go up and come down.

Nothing outside is read or written, and what is acknowledged is inside, with both ways of resolving paths.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.store.files.swapper import Swapper, picture

import tieline
from tieline.errors import CallError
from tieline.store.files import tree
from tieline.store.files.beneath import Openat2, Walk

from .machines import LONG

ROUNDS = 20 if LONG else 2
MOST = 60
"Rounds at most: as many as it takes until something has met the folder and not the link."
FILES = 500


@pytest.fixture(params=[Openat2, Walk])
async def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Its address on a Unix socket; whoever comes over it is the owner."""
    try:
        resolver = request.param()
    except OSError as error:
        pytest.skip(f"this kernel or sandbox has no openat2: {error.strerror}")
    monkeypatch.setattr(tree, "best", lambda: resolver)
    made = tieline.Server(data=tmp_path / "data")
    async with made.serving(f"unix:{tmp_path}/s.sock") as addresses:
        await made.accounts.create_owner("own")
        assert resolver is made.files.tree._resolver
        yield addresses[0]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """It looks just like what is inside."""
    for folder in ("outside", "outside/b", "outside/b/c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "secret").write_text("SECRET")
    return tmp_path / "outside"


def filled(folder: Path, number: int) -> Path:
    """A folder with files, some of them in an inner folder."""
    (folder / "a" / "b").mkdir(parents=True)
    for file in range(FILES):
        (folder / ("a" if file % 2 else "a/b") / f"{number}-{file}").write_text(f"{number} {file}")
    return folder / "a"


@pytest.mark.timeout(1800 if LONG else 120)
async def test_nothing_outside_is_read_or_written(server: str, tmp_path: Path, outside: Path) -> None:
    before = picture(outside)
    root = tmp_path / "data" / "files"
    swapper = Swapper(root, outside)
    kept: set[str] = set()
    swapper.start()
    try:
        async with tieline.connect(server) as peer:
            for number in range(MOST):
                if number >= ROUNDS and kept:
                    break
                local = filled(tmp_path / f"up-{number}", number)
                done = await peer.files.put(local, "/")
                failed = {failure.path for failure in done.failed}
                kept |= {path.name for path in local.rglob("*-*") if str(path) not in failed}
                assert done.files + len(done.failed) >= FILES
                try:
                    await peer.files.get("/a", tmp_path / f"down-{number}")
                except CallError:
                    pass  # the folder was a link at that moment
    finally:
        swapper.stop.set()
        swapper.join()
    assert swapper.swaps > 100
    assert picture(outside) == before
    assert kept, "some of it has met the folder"
    there = {path.name: path for path in root.rglob("*-*") if not path.is_symlink() and path.is_file()}
    assert kept <= there.keys(), "what was acknowledged is inside"
    for down in tmp_path.glob("down-*"):
        for path in down.rglob("*"):
            assert not path.is_file() or path.read_text() != "SECRET"

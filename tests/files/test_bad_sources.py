"""Files that cannot be sent: each is named, and all the others arrive, behind them too."""

import errno
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import tieline

from .conftest import House


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_name_that_is_no_text_is_named_as_far_as_it_is_and_the_others_arrive(
    house: House, stack: AsyncExitStack, direction: str
) -> None:
    peer = await house.login(stack, "ada")
    folder = house.folder / "d" if direction == "up" else house.files / "d"
    for name in (b"a", b"gr\xfc\xdfe.txt", b"z/\xff", b"z/b"):
        path = os.fsencode(folder) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    done = await (
        peer.files.put(folder, "/x", inside=False) if direction == "up" else peer.files.get("/d", house.folder / "x")
    )
    arrived = house.files / "x" if direction == "up" else house.folder / "x"
    assert sorted(str(path.relative_to(arrived)) for path in arrived.rglob("*")) == ["a", "z", "z/b"]
    assert sorted(failure.path.rpartition("/")[2] for failure in done.failed) == ["gr\ufffd\ufffde.txt", "\ufffd"]
    assert done.files == 2


@pytest.mark.parametrize("way", ["tls", "tcp"])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_file_the_disk_does_not_give_is_named_and_the_others_arrive(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, direction: str, way: str
) -> None:
    peer: tieline.Client = await house.login(stack, "ada", house.tls if way == "tls" else house.tcp)
    folder = house.folder / "d" if direction == "up" else house.files / "d"
    folder.mkdir(parents=True)
    sizes = {"a": 10, "b-bad": 10, "c": 10, "d-bad": 300_000, "e": 300_000, "f-bad": 20 << 20, "g": 20 << 20, "h": 10}
    for name, size in sizes.items():
        (folder / name).write_bytes(name[:1].encode() * size)
    preadv = os.preadv

    def failing(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        if name.endswith("-bad") and offset >= sizes[name] // 2 - 5:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    done = await (
        peer.files.put(folder, "/x", inside=False) if direction == "up" else peer.files.get("/d", house.folder / "x")
    )
    monkeypatch.undo()
    arrived = house.files / "x" if direction == "up" else house.folder / "x"
    good = {name: size for name, size in sizes.items() if not name.endswith("-bad")}
    assert {path.name: path.stat().st_size for path in arrived.iterdir() if path.is_file()} == good
    assert sorted(failure.path.rpartition("/")[2] for failure in done.failed) == ["b-bad", "d-bad", "f-bad"]
    assert {failure.reason for failure in done.failed} == {"it cannot be read: input/output error"}
    assert (done.files, done.attempts) == (len(good), 1)

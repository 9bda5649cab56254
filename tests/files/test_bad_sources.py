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


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_files_of_any_date_arrive_and_are_known_again(
    house: House, stack: AsyncExitStack, direction: str
) -> None:
    """Before 1970, and beyond what 64 bits hold in nanoseconds."""
    peer = await house.login(stack, "ada")
    folder = house.folder / "d" if direction == "up" else house.files / "d"
    folder.mkdir(parents=True)
    dates = {"1969": -1_000_000, "2300": 10_413_792_000, "1901": -2_000_000_000, "now": 1_795_000_000}
    for name, seconds in dates.items():
        for kind, size in (("small", 10), ("long", 300_000)):
            (folder / f"{name}-{kind}").write_bytes(bytes(size))
            os.utime(folder / f"{name}-{kind}", (seconds, seconds))
    for skipped in (0, 8):
        done = await (
            peer.files.put(folder, "/x", inside=False)
            if direction == "up"
            else peer.files.get("/d", house.folder / "x", inside=False)
        )
        assert (done.failed, done.files, done.skipped, done.attempts) == ([], 8 - skipped, skipped, 1)
    arrived = house.files / "x" if direction == "up" else house.folder / "x"
    for name, seconds in dates.items():
        assert int((arrived / f"{name}-small").stat().st_mtime) == min(seconds, 2**63 // 10**9)


async def test_two_of_a_name_by_case_may_come_here_and_not_go_there(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for folder, name in (("a", "README"), ("b", "readme")):
        (house.files / folder).mkdir()
        (house.files / folder / name).write_text(name)
    back = house.folder / "back"
    back.mkdir()
    assert (await peer.files.get(["/a/README", "/b/readme"], back)).files == 2
    with pytest.raises(tieline.Conflict, match="two of these would both be"):
        await peer.files.put([back / "README", back / "readme"], "/lab/")
    with pytest.raises(tieline.Conflict, match="two of these would both be"):
        await peer.files.get(["/a/README", "/a/README"], back)


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_long_file_that_a_full_disk_does_not_take_is_named_and_the_next_arrives(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    """It is written beside, so what the disk says comes later than what it is about."""
    peer = await house.login(stack, "ada", house.tls)
    folder = house.folder / "d" if direction == "up" else house.files / "d"
    folder.mkdir(parents=True)
    (folder / "a-long").write_bytes(bytes(48 << 20))
    (folder / "b").write_bytes(b"b" * 300_000)
    written, full, write = 0, False, os.write

    def filling(descriptor: int, data: memoryview) -> int:
        nonlocal written, full
        written += len(data)
        if written > 20 << 20 and not full:
            full = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", filling)
    done = await (
        peer.files.put(folder, "/x", inside=False) if direction == "up" else peer.files.get("/d", house.folder / "x")
    )
    monkeypatch.undo()
    arrived = house.files / "x" if direction == "up" else house.folder / "x"
    assert [path.name for path in arrived.iterdir() if path.is_file()] == ["b"]
    assert [failure.path.rpartition("/")[2] for failure in done.failed] == ["a-long"]
    assert "full" in done.failed[0].reason

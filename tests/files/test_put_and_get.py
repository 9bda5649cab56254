"""Files and folders up and down, by each way to the server."""

import asyncio
import contextlib
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from blake3 import blake3

import tieline
from tieline.errors import Conflict, Denied, NotFound
from tieline.limits import KiB, MiB

from .conftest import House

SIZES = [0, 1, 4096, 64 * KiB, 64 * KiB + 1, 4 * MiB, 4 * MiB + 1, 9 * MiB + 5]
ODD = [
    "plain.txt",
    "two words",
    "ÄÖÜ ß",
    "日本語.txt",
    "файл",
    "עברית",
    "emoji 🎉.bin",
    "-rf",
    "$(id)",
    "a'b",
    ".hidden",
]


def tree_of(folder: Path) -> dict[str, bytes | str | None]:
    """What is in a folder: content of files, targets of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(".tieline-"):
            continue
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def make_tree(folder: Path) -> Path:
    """Odd names, depth, an empty folder, an empty file, links."""
    deep = folder / "deep" / "er" / "and deeper"
    deep.mkdir(parents=True)
    for number, name in enumerate(ODD):
        (folder / name).write_bytes(name.encode() * number)
        (deep / name).write_bytes(os.urandom(number * 1000))
    (folder / "empty folder").mkdir()
    (folder / "deep" / "link").symlink_to("../plain.txt")
    (folder / "large").write_bytes(os.urandom(5 * MiB))
    return folder


@pytest.mark.parametrize("way", ["tcp", "tls", "unix"])
async def test_a_file_of_any_size_comes_back_as_it_was(house: House, stack: AsyncExitStack, way: str) -> None:
    peer = (
        await stack.enter_async_context(house.owner())
        if way == "unix"
        else await house.login(stack, "ada", getattr(house, way))
    )
    for size in SIZES:
        source = house.folder / f"{size}.bin"
        source.write_bytes(os.urandom(size))
        os.utime(source, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
        source.chmod(0o640)
        done = await peer.files.put(source, "/lab/")
        assert (done.files, done.bytes, done.failed) == (1, size, [])
        stored = house.files / "lab" / source.name
        assert stored.read_bytes() == source.read_bytes()
        assert stored.stat().st_mtime_ns == source.stat().st_mtime_ns
        assert stored.stat().st_mode & 0o777 == 0o640
        entry = await peer.files.stat(f"/lab/{source.name}")
        assert entry.digest == blake3(source.read_bytes()).hexdigest()
        got = await peer.files.get(f"/lab/{source.name}", house.folder / "back" / f"{way}-{size}")
        assert (got.files, got.failed) == (1, [])
        back = house.folder / "back" / f"{way}-{size}"
        assert back.read_bytes() == source.read_bytes()
        assert back.stat().st_mtime_ns == source.stat().st_mtime_ns


async def test_a_folder_comes_back_whole_with_odd_names_and_links(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    source = make_tree(house.folder / "source")
    put = await peer.files.put(source, "/lab/tree", inside=False)
    assert put.failed == []
    assert tree_of(house.files / "lab" / "tree") == tree_of(source)
    got = await peer.files.get("/lab/tree", house.folder / "back")
    assert got.failed == []
    assert tree_of(house.folder / "back") == tree_of(source)
    assert put.files == got.files == 2 * len(ODD) + 1


async def test_what_is_there_already_is_passed_over_both_ways(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    source = make_tree(house.folder / "source")
    await peer.files.put(source, "/lab/tree", inside=False)
    (source / "plain.txt").write_bytes(b"changed")
    again = await peer.files.put(source, "/lab/tree", inside=False)
    assert (again.files, again.skipped) == (1, 2 * len(ODD))
    await peer.files.get("/lab/tree", house.folder / "back", inside=False)
    (house.files / "lab" / "tree" / "plain.txt").write_bytes(b"and again")
    got = await peer.files.get("/lab/tree", house.folder / "back", inside=False)
    assert (got.files, got.skipped) == (1, 2 * len(ODD))
    assert (house.folder / "back" / "plain.txt").read_bytes() == b"and again"


async def test_holes_stay_holes(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    source = house.folder / "sparse"
    with source.open("wb") as file:
        file.seek(30 * MiB)
        file.write(b"in the middle")
        file.truncate(50 * MiB)
    assert (await peer.files.put(source, "/sparse")).failed == []
    assert (await peer.files.get("/sparse", house.folder / "back")).failed == []
    for copy in (house.files / "sparse", house.folder / "back"):
        assert copy.stat().st_size == 50 * MiB
        assert copy.stat().st_blocks * 512 < MiB
        assert blake3(copy.read_bytes()).digest() == blake3(source.read_bytes()).digest()


async def test_what_is_no_file_is_left_with_a_reason(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    source = house.folder / "source"
    source.mkdir()
    (source / "fine").write_bytes(b"fine")
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(source):
        listening.bind("sock")
    (source / "out").symlink_to("../../outside")
    (source / "a:b").write_bytes(b"no name everywhere")
    (source / "setuid").write_bytes(b"x")
    (source / "setuid").chmod(0o6755)
    done = await peer.files.put(source, "/")
    reasons = {Path(failed.path).name: failed.reason for failed in done.failed}
    assert set(reasons) == {"fifo", "sock", "out", "a:b"}
    assert "FIFO" in reasons["fifo"]
    assert (house.files / "source" / "setuid").stat().st_mode & 0o7777 == 0o755
    assert done.files == 2


async def test_a_path_that_is_not_there_is_told(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    got = await peer.files.get("/nothing", house.folder / "back")
    assert "/nothing" in got.failed[0].reason
    put = await peer.files.put(house.folder / "nothing", "/x")
    assert "no such file" in put.failed[0].reason
    assert not (house.folder / "back").exists()


async def test_keep_replaces_nothing(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    (house.folder / "x").write_bytes(b"first")
    await peer.files.put(house.folder / "x", "/x")
    (house.folder / "x").write_bytes(b"second")
    done = await peer.files.put(house.folder / "x", "/x", keep=True)
    assert "there already" in done.failed[0].reason
    assert (house.files / "x").read_bytes() == b"first"
    (house.folder / "here").write_bytes(b"mine")
    got = await peer.files.get("/x", house.folder / "here", keep=True)
    assert "there already" in got.failed[0].reason
    assert (house.folder / "here").read_bytes() == b"mine"


async def test_who_may_not_write_puts_nothing(house: House, stack: AsyncExitStack) -> None:
    reader = await house.login(stack, "ada", can="files.read")
    (house.folder / "x").write_bytes(b"x")
    with pytest.raises(Denied):
        await reader.files.put(house.folder / "x", "/x")
    talker = await house.login(stack, "eve", can="chat")
    with pytest.raises(Denied):
        await talker.files.get("/x", house.folder / "back")
    assert not (house.files / "x").exists()


async def test_a_letter_box_takes_new_files_and_gives_nothing(house: House, stack: AsyncExitStack) -> None:
    ada, bob = await house.login(stack, "ada"), await house.login(stack, "bob")
    (house.folder / "x").write_bytes(b"for bob")
    assert (await ada.files.put(house.folder / "x", "/people/bob/inbox/ada/")).failed == []
    (house.folder / "x").write_bytes(b"something else")
    again = await ada.files.put(house.folder / "x", "/people/bob/inbox/ada/")
    assert "there already" in again.failed[0].reason
    got = await ada.files.get("/people/bob/inbox/ada/x", house.folder / "back")
    assert got.failed
    await bob.files.get("/people/bob/inbox/ada/x", house.folder / "back")
    assert (house.folder / "back").read_bytes() == b"for bob"


async def test_a_pipe_is_sent_to_its_end(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    data = os.urandom(10 * MiB + 17)
    (house.folder / "stream").write_bytes(data)
    with (house.folder / "stream").open("rb") as file:
        read, write = os.pipe()
        pump = await asyncio_pump(file.fileno(), write)
        done = await peer.files.put_stream(read, "/lab/stream")
        os.close(read)
        await pump
    assert (done.files, done.bytes) == (1, len(data))
    assert (house.files / "lab" / "stream").read_bytes() == data


async def asyncio_pump(source: int, write: int) -> "object":
    def pump() -> None:
        while piece := os.read(source, 70_001):
            os.write(write, piece)
        os.close(write)

    return asyncio.get_running_loop().run_in_executor(None, pump)


async def test_a_file_is_read_as_it_comes(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for size in (0, 100, 70_000, 13 * MiB):
        data = os.urandom(size)
        (house.folder / "x").write_bytes(data)
        await peer.files.put(house.folder / "x", "/x")
        async with peer.files.open("/x") as file:
            head = await file.read(10)
            assert head == data[:10]
            assert head + await file.read() == data
            assert file.size == size
    with pytest.raises(NotFound):
        async with peer.files.open("/nothing") as file:
            await file.read()


async def test_a_file_that_is_not_read_to_its_end_can_be_left(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    (house.folder / "x").write_bytes(os.urandom(40 * MiB))
    await peer.files.put(house.folder / "x", "/x")
    async with peer.files.open("/x") as file:
        assert len(await file.read(10)) == 10


async def test_progress_goes_up_to_the_whole(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    (house.folder / "x").write_bytes(os.urandom(20 * MiB))
    seen: list[tieline.files.Progress] = []
    await peer.files.put(house.folder / "x", "/x", progress=seen.append)
    assert seen[-1].bytes == seen[-1].total_bytes == 20 * MiB
    assert (seen[-1].files, seen[-1].total_files) == (1, 1)
    assert [one.bytes for one in seen] == sorted(one.bytes for one in seen)


async def test_two_of_one_name_are_refused_before_anything_moves(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for name in ("a", "b"):
        (house.folder / name).mkdir()
        (house.folder / name / "x").write_bytes(name.encode())
        await peer.files.put(house.folder / name, "/lab/")
    with pytest.raises(Conflict, match="both be"):
        await peer.files.put([house.folder / "a" / "x", house.folder / "b" / "x"], "/lab/")
    with pytest.raises(Conflict, match="both be"):
        await peer.files.get("/lab/*/x", house.folder / "here")
    assert not (house.files / "lab" / "x").exists()


async def test_several_gets_into_one_folder_are_in_nobodys_way(house: House, stack: AsyncExitStack) -> None:
    peer = await house.login(stack, "ada")
    for number in range(6):
        (house.folder / str(number)).write_bytes(bytes(number * 3000))
    await peer.files.put([house.folder / str(number) for number in range(6)], "/lab/")
    for _ in range(5):
        gets = (peer.files.get(f"/lab/{each}", house.folder / "here", inside=True) for each in range(6))
        done = await asyncio.gather(*gets)
        assert [each.failed for each in done] == [[]] * 6
    assert sorted(path.name for path in (house.folder / "here").iterdir()) == [str(each) for each in range(6)]


async def test_a_small_file_that_changes_all_the_while_is_not_sent_in_part(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = await house.login(stack, "ada")
    source = house.folder / "x"
    source.write_bytes(b"1" * 100)
    real, count = os.preadv, iter(range(2, 100))

    def preadv(fd: int, buffers: list[memoryview], offset: int) -> int:
        got = real(fd, buffers, offset)
        if (number := next(count)) < restless:
            source.write_bytes(b"%d" % (number % 10) * 50 * number)
        return got

    restless = 4
    monkeypatch.setattr(os, "preadv", preadv)
    done = await peer.files.put(source, "/x")
    assert (done.failed, (house.files / "x").read_bytes()) == ([], source.read_bytes())
    restless = 1000
    done = await peer.files.put(source, "/y")
    assert "changes" in done.failed[0].reason
    assert not (house.files / "y").exists()


@pytest.mark.parametrize("what", ["put", "get", "list"])
async def test_a_link_that_is_lost_while_it_is_asked_what_is_there_is_no_end(
    house: House, stack: AsyncExitStack, tmp_path: Path, what: str
) -> None:
    (house.files / "lab").mkdir()
    (house.files / "lab" / "x").write_text("hello")
    (tmp_path / "x").write_text("hello")
    peer = await house.login(stack, "ada")
    works = {
        "put": lambda: peer.files.put(tmp_path / "x", "/lab"),
        "get": lambda: peer.files.get("/lab/*", tmp_path / "down"),
        "list": lambda: peer.files.list("/lab"),
    }
    asked = asyncio.create_task(works[what]())
    await asyncio.sleep(0)  # the question is on its way
    assert peer.link is not None
    peer.link.stream.abort()
    await asked


async def test_what_failed_is_told_and_raised_when_asked_to(house: House, stack: AsyncExitStack) -> None:
    ada = await house.login(stack, "ada")
    (house.folder / "x").write_text("x")
    assert (await ada.files.put(house.folder / "x", "/lab/")).check().files == 1
    some = await ada.files.put([house.folder / "x", house.folder / "y"], "/lab/")
    assert (some.skipped, [failed.path for failed in some.failed]) == (1, [str(house.folder / "y")])
    with pytest.raises(tieline.CallError, match="y: no such file") as caught:
        some.check()
    assert caught.value.data == some.failed
    none = await ada.files.get(["/lab/a", "/lab/b"], house.folder / "here")
    with pytest.raises(tieline.CallError, match=r"/lab/a: .* \(and 1 more\)"):
        none.check()


async def test_folders_are_made_and_things_moved(house: House, stack: AsyncExitStack) -> None:
    ada = await house.login(stack, "ada")
    (house.folder / "x").write_text("x")
    await ada.files.make("/lab/2026", parents=True)
    await ada.files.put(house.folder / "x", "/lab/")
    assert await ada.files.move("/lab/x", "/lab/2026/") == "/lab/2026/x"
    await ada.files.put(house.folder / "x", "/lab/")
    with pytest.raises(Conflict):
        await ada.files.move("/lab/x", "/lab/2026/x")
    assert await ada.files.move("/lab/x", "/lab/2026/x", replace=True) == "/lab/2026/x"
    assert [entry.name for entry in await ada.files.list("/lab")] == ["2026"]

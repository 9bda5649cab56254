"""Several at once: the same name twice, a file that is fetched while it comes, quotas, and many people."""

import asyncio
import os
from contextlib import AsyncExitStack

import pytest

import tieline
from tieline.errors import Conflict
from tieline.limits import MiB

from .conftest import House
from .test_put_and_get import ODD, tree_of


class Tap:
    """A pipe that is filled piece by piece."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()

    async def pour(self, data: bytes) -> None:
        await asyncio.to_thread(self._all, data)

    def _all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._write, view) :]

    def end(self) -> None:
        os.close(self._write)


async def begun(house: House) -> None:
    """Until a file is on its way there."""
    while not os.listdir(house.files / ".tieline-staging"):  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0.005)


async def test_of_two_who_put_the_same_name_both_are_whole_and_the_first_is_told(
    house: House, stack: AsyncExitStack
) -> None:
    ada, bob = await house.login(stack, "ada"), await house.login(stack, "bob")
    tap = Tap()
    slow = asyncio.create_task(bob.files.put_stream(tap.read, "/x"))
    await tap.pour(b"b" * 100_000)
    await begun(house)
    (house.folder / "x").write_bytes(b"a" * 100_000)
    first = await ada.files.put(house.folder / "x", "/x")
    assert (house.files / "x").read_bytes() == b"a" * 100_000
    assert first.notes == ["bob is putting /x too, and that will replace yours"]
    await tap.pour(b"b" * 100_000)
    tap.end()
    assert (await slow).failed == []
    os.close(tap.read)
    assert (house.files / "x").read_bytes() == b"b" * 200_000
    assert (await ada.files.stat("/x")).by == "bob"


async def test_many_who_put_the_same_name_leave_one_of_theirs_whole(house: House, stack: AsyncExitStack) -> None:
    people = [await house.login(stack, f"p{number}") for number in range(8)]
    contents = [bytes([number]) * 5 * MiB for number in range(8)]
    for number, content in enumerate(contents):
        (house.folder / f"{number}").write_bytes(content)
    done = await asyncio.gather(
        *(peer.files.put(house.folder / f"{number}", "/same") for number, peer in enumerate(people))
    )
    assert all(each.failed == [] for each in done)
    stored = (house.files / "same").read_bytes()
    assert stored in contents
    assert (await people[0].files.stat("/same")).by == f"p{stored[0]}"


async def test_a_file_is_followed_while_it_comes(house: House, stack: AsyncExitStack) -> None:
    ada, bob = await house.login(stack, "ada"), await house.login(stack, "bob")
    content = os.urandom(13 * MiB)
    tap = Tap()
    putting = asyncio.create_task(ada.files.put_stream(tap.read, "/lab/x"))
    await tap.pour(content[: 6 * MiB])
    await begun(house)
    getting = asyncio.create_task(bob.files.get("/lab/x", house.folder / "back", wait=True))
    async with bob.files.open("/lab/x", wait=True) as file:
        assert await file.read(1000) == content[:1000]
        assert not putting.done()
        await tap.pour(content[6 * MiB :])
        tap.end()
        assert content[:1000] + await file.read() == content
    assert (await putting).failed == []
    assert (await getting).failed == []
    os.close(tap.read)
    assert (house.folder / "back").read_bytes() == content


async def test_a_pipe_may_pause_and_so_may_who_follows_it(
    house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tieline.lanes import growing

    monkeypatch.setattr(growing, "_PAUSE", 0.05)
    ada, bob = await house.login(stack, "ada"), await house.login(stack, "bob")
    content = os.urandom(5 * MiB)
    tap = Tap()
    putting = asyncio.create_task(ada.files.put_stream(tap.read, "/x"))
    await tap.pour(content[: 4 * MiB + 5])
    await begun(house)
    getting = asyncio.create_task(bob.files.get("/x", house.folder / "back", wait=True))
    async with bob.files.open("/x", wait=True) as file:
        assert await file.read(10) == content[:10]
        for _ in range(3):
            await asyncio.sleep(0.2)  # as a slow program does that writes to the pipe
            await tap.pour(content[4 * MiB + 5 :][:0])
        await tap.pour(content[4 * MiB + 5 :])
        tap.end()
        assert content[:10] + await file.read() == content
    put, got = await putting, await getting
    os.close(tap.read)
    assert (put.failed, put.attempts, got.failed, got.attempts) == ([], 1, [], 1)
    assert (house.folder / "back").read_bytes() == content


async def test_a_file_older_than_the_epoch_keeps_its_date(house: House, stack: AsyncExitStack) -> None:
    ada = await house.login(stack, "ada")
    for number, size in enumerate((10, 70_000, 5 * MiB)):
        source = house.folder / str(number)
        source.write_bytes(bytes(size))
        os.utime(source, ns=(-86_400_000_000_000, -86_400_000_000_000))
        assert (await ada.files.put(source, "/")).failed == []
        assert (await ada.files.get(f"/{number}", house.folder / "back", inside=True)).failed == []
        assert (house.folder / "back" / str(number)).stat().st_mtime == -86_400


async def test_who_follows_an_upload_that_fails_fails_too(house: House, stack: AsyncExitStack) -> None:
    ada, bob = await house.login(stack, "ada"), await house.login(stack, "bob")
    house.server.files.quota.each = 9 * MiB
    tap = Tap()
    putting = asyncio.create_task(ada.files.put_stream(tap.read, "/x"))
    await tap.pour(bytes(6 * MiB))
    await begun(house)
    getting = asyncio.create_task(bob.files.get("/x", house.folder / "back", wait=True))
    while not list(house.folder.glob(".tieline-staging/*")):  # noqa: ASYNC110  # until he follows
        await asyncio.sleep(0.005)
    pouring = asyncio.create_task(tap.pour(bytes(6 * MiB)))
    done = await putting
    assert "do not fit" in done.failed[0].reason
    os.close(tap.read)
    await asyncio.gather(pouring, return_exceptions=True)
    tap.end()
    got = await getting
    assert "failed" in got.failed[0].reason
    assert not (house.folder / "back").exists()
    assert not (house.files / "x").exists()


async def test_a_quota_refuses_what_is_too_much_and_nothing_else(house: House, stack: AsyncExitStack) -> None:
    ada = await house.login(stack, "ada")
    house.server.files.quota.each = 10 * MiB
    source = house.folder / "source"
    source.mkdir()
    (source / "a").write_bytes(bytes(1000))
    (source / "b").write_bytes(os.urandom(11 * MiB))
    (source / "c").write_bytes(bytes(6 * MiB))
    done = await ada.files.put(source, "/", inside=True)
    assert [failed.path.rpartition("/")[2] for failed in done.failed] == ["b"]
    assert "do not fit" in done.failed[0].reason
    assert done.wire_bytes < 8 * MiB, "what is refused is not sent"
    assert sorted(os.listdir(house.files / "source")) == ["a", "c"]
    assert not os.listdir(house.files / ".tieline-staging")


async def test_a_transfer_that_is_cancelled_leaves_what_can_be_gone_on_with(
    house: House, stack: AsyncExitStack
) -> None:
    ada = await house.login(stack, "ada")
    source = house.folder / "x"
    source.write_bytes(os.urandom(64 * MiB))
    seen = asyncio.Event()

    def look(progress: tieline.files.Progress) -> None:
        if progress.bytes > 16 * MiB:
            seen.set()

    putting = asyncio.create_task(ada.files.put(source, "/x", progress=look))
    await asyncio.wait({putting, asyncio.ensure_future(seen.wait())}, return_when=asyncio.FIRST_COMPLETED)
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)
    while len(house.server.lanes):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    again = await ada.files.put(source, "/x")
    assert again.failed == []
    assert (house.files / "x").read_bytes() == source.read_bytes()
    assert again.wire_bytes < 64 * MiB  # also when all of it had come before we could stop it


async def test_thousands_of_small_files_deep_and_oddly_named(house: House, stack: AsyncExitStack) -> None:
    count = 10_000 if os.environ.get("TIELINE_LONG") else 1_500
    ada = await house.login(stack, "ada")
    source = house.folder / "source"
    for number in range(count):
        name = f"{number} {ODD[number % len(ODD)]}"
        folder = source.joinpath(*[ODD[(number // 7 + depth) % len(ODD)] for depth in range(number % 9)])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * (number % 50))
    put = await ada.files.put(source, "/many", inside=False)
    assert (put.failed, put.files) == ([], count)
    got = await ada.files.get("/many", house.folder / "back")
    assert (got.failed, got.files) == ([], count)
    assert tree_of(house.folder / "back") == tree_of(source)


async def test_a_folder_is_not_read_like_a_file(house: House, stack: AsyncExitStack) -> None:
    ada = await house.login(stack, "ada")
    (house.files / "folder").mkdir()
    with pytest.raises(Conflict, match="is no file"):
        async with ada.files.open("/folder") as file:
            await file.read()

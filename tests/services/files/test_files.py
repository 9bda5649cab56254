"""The methods files.* as callers see them."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from blake3 import blake3
from tests.services.files.conftest import EVERYTHING, House

from tieline.errors import Conflict, Denied, InvalidArgument, NotFound, TooLarge
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.services.files.entries import File, FileList, Usage
from tieline.services.files.uploads import Uploads
from tieline.store.files.catalogue import Entry
from tieline.store.files.staging import Staging


async def put(house: House, account: str, path: str, data: bytes, *, keep: bool = False) -> None:
    """As the HTTP door does it."""
    peer = await house.login(account)
    upload = await house.server.uploads.begin(peer.identity, path, len(data), keep=keep)
    try:
        await upload.write(data)
        await upload.finish()
    finally:
        await house.server.uploads.end(upload)


async def test_what_was_put_is_listed_with_digest_and_owner(house: House) -> None:
    ada = await house.login("ada")
    await put(house, "ada", "/lab/x.bin", b"hello")
    house.file("/lab/by-hand", "world")
    page = await ada.call("files.list", path="/lab", returns=FileList)
    by_hand, mine = page.entries
    assert (mine.name, mine.size, mine.by, mine.digest) == ("x.bin", 5, "ada", blake3(b"hello").hexdigest())
    assert (by_hand.name, by_hand.by, by_hand.digest) == ("by-hand", "", "")
    assert (await ada.call("files.stat", path="/lab/x.bin", returns=File)) == mine
    house.file("/lab/x.bin", "jello")
    assert (await ada.call("files.stat", path="/lab/x.bin", returns=File)).digest == "", "it is another file now"


async def test_a_file_is_listed_as_itself(house: House) -> None:
    ada = await house.login("ada")
    house.file("/lab/x", "12")
    page = await ada.call("files.list", path="/lab/x", returns=FileList)
    assert (page.path, [entry.name for entry in page.entries]) == ("/lab", ["x"])
    for path in ("/lab/x/", "/lab/y", "/lab/x/y"):
        with pytest.raises(NotFound):
            await ada.call("files.list", path=path)


async def test_spaces_are_there_before_anything_is_in_them(house: House) -> None:
    ada = await house.login("ada")
    for path in ("/rooms/lobby", "/rooms/@ada+bob", "/people/ada"):
        assert (await ada.call("files.list", path=path, returns=FileList)).entries == []
        assert (await ada.call("files.stat", path=path, returns=File)).kind == "folder"
    await ada.call("files.make", path="/rooms/builds/today")
    await ada.call("files.make", path="/people/ada/notes")
    house.file("/people/bob/private")
    house.file("/rooms/@bob+eve/private")
    assert [e.name for e in (await ada.call("files.list", path="/people", returns=FileList)).entries] == ["ada"]
    assert [e.name for e in (await ada.call("files.list", path="/rooms", returns=FileList)).entries] == ["builds"]


async def test_folders_are_made_and_removed(house: House) -> None:
    ada = await house.login("ada")
    await ada.call("files.make", path="/a/b/c", parents=True)
    with pytest.raises(NotFound):
        await ada.call("files.make", path="/x/y")
    with pytest.raises(Conflict):
        await ada.call("files.remove", path="/a")
    assert await ada.call("files.remove", path="/a/b/c/") == "folder"
    house.file("/a/x")
    with pytest.raises(NotFound):
        await ada.call("files.remove", path="/a/x/")
    assert await ada.call("files.remove", path="/a/x") == "file"
    assert await ada.call("files.remove", path="/a", whole=True) == "folder"
    assert sorted(os.listdir(house.root)) == [".tieline-staging", ".tieline-trash", "people", "rooms"]


async def test_a_folder_removed_whole_is_deleted_for_good(house: House) -> None:
    ada = await house.login("ada")
    for number in range(30):
        house.file(f"/a/{number % 5}/{number}")
    await ada.call("files.remove", path="/a", whole=True)
    assert not (house.root / "a").exists()
    async with asyncio.timeout(30):
        while os.listdir(house.root / ".tieline-trash"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_moving_takes_what_is_known_along(house: House) -> None:
    ada = await house.login("ada")
    await put(house, "ada", "/lab/deep/x", b"hello")
    assert await ada.call("files.move", source="/lab", target="/moved") == "/moved"
    found = await ada.call("files.stat", path="/moved/deep/x", returns=File)
    assert (found.by, found.digest) == ("ada", blake3(b"hello").hexdigest())
    assert (await ada.call("files.usage", returns=Usage)).used == 5


async def test_moving_into_a_folder_keeps_the_name(house: House) -> None:
    ada = await house.login("ada")
    house.file("/x", "x")
    house.file("/lab/y", "y")
    assert await ada.call("files.move", source="/x", target="/lab") == "/lab/x"
    assert await ada.call("files.move", source="/lab/x", target="/people/ada") == "/people/ada/x"
    assert await ada.call("files.move", source="/people/ada/x", target="/rooms/lobby/") == "/rooms/lobby/x"
    with pytest.raises(NotFound):
        await ada.call("files.move", source="/rooms/lobby/x", target="/nowhere/")
    with pytest.raises(Conflict):
        await ada.call("files.move", source="/rooms/lobby/x", target="/lab/y")
    assert await ada.call("files.move", source="/rooms/lobby/x", target="/lab/y", replace=True) == "/lab/y"
    assert (house.root / "lab" / "y").read_text() == "x"


async def test_moving_between_spaces_asks_both(house: House) -> None:
    ada, bob = await house.login("ada"), await house.login("bob")
    house.file("/people/ada/mine", "mine")
    house.file("/people/bob/his", "his")
    box = "/people/bob/inbox/ada"
    assert await ada.call("files.move", source="/people/ada/mine", target=f"{box}/") == f"{box}/mine"
    house.file("/people/ada/mine", "other")
    for target in (f"{box}/mine", f"{box}/"):
        with pytest.raises(Conflict):
            await ada.call("files.move", source="/people/ada/mine", target=target, replace=True)
    for source, target in (
        ("/people/bob/his", "/x"),
        ("/people/bob/his", f"{box}/hers"),
        (f"{box}/mine", "/x"),
        ("/people/ada", "/x"),
        ("/rooms", "/x"),
        ("/people/ada/mine", "/rooms"),
        ("/people/ada/mine", "/people/bob/"),
        ("/people/ada/mine", "/people/bob/his"),
        ("/people/ada/mine", "/people/bob/inbox/eve/"),
        ("/people/ada/mine", "/rooms/@bob+eve/"),
    ):
        with pytest.raises(Denied):
            await ada.call("files.move", source=source, target=target)
    assert (house.root / "people/bob/inbox/ada/mine").read_text() == "mine"
    assert await bob.call("files.move", source=f"{box}/mine", target="/his") == "/his"


async def test_a_stranger_finds_out_nothing(house: House) -> None:
    """There, not there, a double of what is there: all the same."""
    ada = await house.login("ada")
    await house.login("bob")
    house.file("/people/bob/Secret-Plan.txt")
    house.file("/people/bob/deep/x")
    said = set()
    for path in (
        "/people/bob/Secret-Plan.txt",
        "/people/bob/secret-plan.txt",
        "/people/bob/nothing",
        "/people/bob/deep/x",
    ):
        for method in ("files.make", "files.stat", "files.list", "files.remove"):
            with pytest.raises(Denied) as refused:
                await ada.call(method, path=path)
            said.add(str(refused.value))
        with pytest.raises(Denied) as refused:
            await put(house, "ada", path, b"x")
        said.add(str(refused.value))
    assert len(said) == 1
    assert sorted(path.name for path in (house.root / "people/bob").rglob("*")) == ["Secret-Plan.txt", "deep", "x"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("files.list", {}),
        ("files.stat", {"path": "/x"}),
        ("files.make", {"path": "/y"}),
        ("files.remove", {"path": "/x"}),
        ("files.move", {"source": "/x", "target": "/y"}),
        ("files.usage", {}),
        ("files.abandon", {}),
    ],
)
async def test_who_may_not_is_refused(house: House, method: str, params: dict[str, str]) -> None:
    house.file("/x", "x")
    for peer in (
        await house.login("ada", "chat"),
        await house.login("guest-eve", "files.read", "files.write", guest=True),
    ):
        with pytest.raises(Denied):
            await peer.call(method, **params)
    assert (house.root / "x").read_text() == "x"


@pytest.mark.parametrize("path", ["", "..", "/../x", "//", "/a\0b", "/.tieline-staging", "/" + "x" * 5000, "/CON"])
async def test_bad_paths_are_refused_everywhere(house: House, path: str) -> None:
    ada = await house.login("ada")
    house.file("/x")
    for method, params in (
        ("files.list", {"path": path}),
        ("files.stat", {"path": path}),
        ("files.make", {"path": path}),
        ("files.remove", {"path": path}),
        ("files.move", {"source": path, "target": "/y"}),
        ("files.move", {"source": "/x", "target": path}),
    ):
        with pytest.raises(InvalidArgument):
            await ada.call(method, **params)


async def test_usage_tells_ones_own_and_all(house: House) -> None:
    ada = await house.login("ada")
    await put(house, "ada", "/x", b"12345")
    await put(house, "bob", "/y", b"123")
    usage = await ada.call("files.usage", returns=Usage)
    assert (usage.account, usage.used, usage.files, usage.all_used, usage.all_files) == ("ada", 5, 1, 8, 2)
    assert (usage.quota, usage.all_quota) == (0, 0)
    assert 0 < usage.disk_free <= usage.disk_total
    await ada.call("files.remove", path="/y")
    assert (await ada.call("files.usage", returns=Usage)).all_used == 5


async def test_usage_tells_what_is_kept_of_interrupted_uploads_until_it_is_abandoned(house: House) -> None:
    ada = await house.login("ada")
    bob = await house.login("bob")
    await put(house, "ada", "/x", b"12345")
    before = time.time()
    for account in ("ada", "bob"):
        identity = Identity(account, "laptop", frozenset(EVERYTHING))
        upload = await house.server.uploads.begin(identity, "/y", 10 << 20)
        await upload.write(bytes(3 << 20))
        usage = await (ada if account == "ada" else bob).call("files.usage", returns=Usage)
        assert (usage.interrupted, usage.interrupted_until) == (0, 0), "it is on its way yet"
        assert await (ada if account == "ada" else bob).call("files.abandon") == {"bytes": 0, "files": 0}
        await house.server.uploads.end(upload, keep=True)
    usage = await ada.call("files.usage", returns=Usage)
    assert (usage.used, usage.all_used, usage.interrupted_files) == (5, 5, 1)
    assert 3 << 20 <= usage.interrupted < 4 << 20
    week = Limits().staging_age
    assert before + week - 1 <= usage.interrupted_until / 1000 <= time.time() + week
    assert (await ada.call("files.abandon"))["files"] == 1
    usage = await ada.call("files.usage", returns=Usage)
    assert (usage.used, usage.interrupted, usage.interrupted_files, usage.interrupted_until) == (5, 0, 0, 0)
    assert (await bob.call("files.usage", returns=Usage)).interrupted_files == 1


class TestQuotas:
    @pytest.fixture
    def settings(self) -> dict[str, int]:
        return {"files_quota": 100, "files_space": 150}

    async def test_an_account_has_so_much_and_all_have_so_much(self, house: House) -> None:
        await put(house, "ada", "/a", bytes(60))
        with pytest.raises(TooLarge, match="your files take 60 of 100"):
            await put(house, "ada", "/b", bytes(41))
        await put(house, "bob", "/b", bytes(90))
        with pytest.raises(TooLarge, match="all files here take 150 of 150"):
            await put(house, "carol", "/c", bytes(1))
        ada = await house.login("ada")
        await ada.call("files.remove", path="/a")
        await put(house, "ada", "/c", bytes(60))
        assert sorted(path.name for path in house.root.iterdir() if path.is_file()) == ["b", "c"]

    async def test_the_count_is_right_after_a_restart(self, house: House, tmp_path: Path) -> None:
        await put(house, "ada", "/a", bytes(60))
        files = house.server.files
        files.quota.used({})
        await files.housekeeping.start()
        with pytest.raises(TooLarge):
            await put(house, "ada", "/b", bytes(41))


async def test_an_upload_into_a_letter_box_replaces_nothing(house: House) -> None:
    bob = await house.login("bob")
    note = "/people/bob/inbox/ada/note"
    await put(house, "ada", note, b"first")
    with pytest.raises(Conflict):
        await put(house, "ada", note, b"second")
    for path in ("/people/bob", "/people/bob/note", "/people/bob/inbox/eve/note", "/people/bob/inbox/ada"):
        with pytest.raises(Denied):
            await put(house, "ada", path, b"file")
    with pytest.raises(NotFound):
        await put(house, "ada", "/people/nobody/inbox/ada/x", b"file")
    assert (await bob.call("files.stat", path=note, returns=File)).by == "ada"
    await put(house, "bob", note, b"his own")
    assert (await bob.call("files.stat", path=note, returns=File)).by == "bob"


async def test_a_digest_of_an_old_file_is_not_taken_for_that_of_a_new_one(house: House) -> None:
    ada = await house.login("ada")
    os.utime(house.file("/x", "old" * 1000), (1, 1))
    files = house.server.files
    reading = await files.open(ada.identity, "/x")
    await put(house, "ada", "/x", b"new")
    assert await files.digest(reading) == blake3(b"old" * 1000).digest()
    os.close(reading.fd)
    found = await ada.call("files.stat", path="/x", returns=File)
    assert (found.by, found.digest) == ("ada", blake3(b"new").hexdigest())
    assert (await ada.call("files.usage", returns=Usage)).used == 3


async def test_what_is_put_and_removed_at_once_is_counted_as_it_is(house: House) -> None:
    ada = await house.login("ada")

    async def put_and_remove(number: int) -> None:
        for _ in range(5):
            await put(house, "ada", f"/lab/{number % 4}", b"x" * number)
            await asyncio.gather(
                ada.call("files.remove", path=f"/lab/{number % 4}"),
                put(house, "ada", f"/lab/{number % 4}", b"y"),
                ada.call("files.move", source=f"/lab/{number % 4}", target=f"/lab/moved-{number}", replace=True),
                return_exceptions=True,
            )

    await asyncio.gather(*(put_and_remove(number) for number in range(12)), return_exceptions=True)
    there = [path for path in (house.root / "lab").iterdir() if path.is_file()]
    usage = await ada.call("files.usage", returns=Usage)
    assert (usage.all_files, usage.all_used) == (len(there), sum(path.stat().st_size for path in there))


async def test_removing_is_told_even_when_nobody_waits_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await house.login("ada")
    await put(house, "ada", "/x", b"hello")
    tree, go_on = house.server.files.tree, threading.Event()
    remove = tree.remove
    monkeypatch.setattr(tree, "remove", lambda *args, **named: go_on.wait(30) and remove(*args, **named))
    removing = asyncio.create_task(house.server.files.remove(ada.identity, "/x"))
    await asyncio.sleep(0.01)
    removing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await removing
    go_on.set()
    async with asyncio.timeout(30):
        while (await ada.call("files.usage", returns=Usage)).used:
            pass


async def test_what_stands_in_the_way_is_told_before_the_first_byte(house: House) -> None:
    house.file("/file")
    house.file("/Folder/x")
    uploads = house.server.uploads
    ada = await house.login("ada")
    for path, error in (
        ("/Folder", Conflict),
        ("/file/x", Conflict),
        ("/FILE", Conflict),
        ("/folder/y", Conflict),
        ("/a/", InvalidArgument),
        ("/", Denied),
    ):
        with pytest.raises(error):
            await uploads.begin(ada.identity, path, 1)
    assert os.listdir(house.root / ".tieline-staging") == []


async def test_an_upload_given_up_leaves_nothing_even_when_a_thread_is_at_it(house: House) -> None:
    ada = await house.login("ada")
    upload = await house.server.uploads.begin(ada.identity, "/x", None)
    writing = asyncio.create_task(upload.write(bytes(64 << 20)))
    await asyncio.sleep(0)
    writing.cancel()
    await house.server.uploads.end(upload)
    await house.server.uploads.end(upload)
    assert os.listdir(house.root / ".tieline-staging") == []
    assert not (house.root / "x").exists()
    assert house.server.files.quota.left("ada") is None
    assert not house.server.files.quota._reserved


async def test_who_goes_on_with_what_is_just_being_stored_is_told_so(house: House) -> None:
    identity = (await house.login("ada")).identity
    uploads, hung_up = house.server.uploads, list[str]()
    first = await uploads.begin(identity, "/x", 2 << 20, leave=lambda: hung_up.append("first"))
    other = await uploads.begin(identity, "/x", 3 << 20, leave=lambda: hung_up.append("other"))
    await first.write(bytes(2 << 20))

    async def finish() -> None:
        await first.finish()
        await uploads.end(first)

    finishing = asyncio.create_task(finish())
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="stored just now"):
        await uploads.begin(identity, "/x", 2 << 20, start=1 << 20)
    await finishing
    await uploads.end(other)
    assert hung_up == [], "nobody was disturbed: the one was done, the other is another file"
    assert (house.root / "x").stat().st_size == 2 << 20
    assert not uploads._going_on


async def test_while_what_is_here_is_read_again_or_kept_it_is_still_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = (await house.login("ada")).identity
    uploads, slow = house.server.uploads, threading.Event()
    first = await uploads.begin(identity, "/x", 5 << 20)
    await first.write(bytes(2 << 20))
    for name in ("make_sure", "take_up"):
        work = getattr(Staging, name)
        monkeypatch.setattr(Staging, name, lambda *args, work=work: (slow.wait(30), work(*args)))
    ending = asyncio.create_task(uploads.end(first, keep=True))
    assert await held(uploads, identity) == {2 << 20}
    slow.set()
    await ending
    slow.clear()
    beginning = asyncio.create_task(uploads.begin(identity, "/x", 5 << 20, start=2 << 20))
    assert await held(uploads, identity) == {2 << 20}
    slow.set()
    await uploads.end(await beginning)
    assert await uploads.offset(identity, "/x") is None


async def held(uploads: Uploads, identity: Identity) -> set[int | None]:
    """Whatever is told while something goes on."""
    return {await uploads.offset(identity, "/x") for _ in range(50)}


async def test_the_loop_goes_on_while_the_disk_does_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await house.login("ada")
    slow = threading.Event()
    walk = house.server.files.tree.page
    monkeypatch.setattr(house.server.files.tree, "page", lambda *args: slow.wait(30) and walk(*args))
    listing = asyncio.create_task(ada.call("files.list", path="/"))
    assert await ada.call("echo.upper", text="still here") == "STILL HERE"
    assert not listing.done()
    slow.set()
    assert {entry["name"] for entry in (await listing)["entries"]} == {"people", "rooms"}


async def test_a_file_is_read_once_however_many_ask_for_its_digest(house: House) -> None:
    ada = await house.login("ada")
    os.utime(house.file("/x", "hello" * 100_000), (1, 1))
    files = house.server.files
    readings = [await files.open(ada.identity, "/x") for _ in range(10)]
    digests = await asyncio.gather(*(files.digest(reading) for reading in readings))
    assert {*digests} == {blake3(b"hello" * 100_000).digest()}
    for reading in readings:
        os.close(reading.fd)
    again = await files.open(ada.identity, "/x")
    os.close(again.fd)
    assert again.digest == digests[0]


async def test_a_digest_of_a_file_just_changed_is_not_remembered(house: House) -> None:
    ada = await house.login("ada")
    house.file("/x", "hello")
    files = house.server.files
    reading = await files.open(ada.identity, "/x")
    assert await files.digest(reading) == blake3(b"hello").digest()
    os.close(reading.fd)
    again = await files.open(ada.identity, "/x")
    os.close(again.fd)
    assert again.digest is None


async def test_a_file_that_changes_while_it_is_read_has_no_digest(house: House) -> None:
    ada = await house.login("ada")
    place = house.file("/x", "hello")
    reading = await house.server.files.open(ada.identity, "/x")
    place.write_text("hell")
    with pytest.raises(Conflict, match="changed while it was read"):
        await house.server.files.digest(reading)
    os.close(reading.fd)


async def test_what_the_catalogue_says_of_another_file_is_not_believed(house: House) -> None:
    ada = await house.login("ada")
    house.file("/x", "hello")
    store = house.server.files._catalogue
    await store.learn(Entry("/x", 5, 1, 1, b"d" * 32, "eve", 1), 1 << 60)
    found = await ada.call("files.stat", path="/x", returns=File)
    assert (found.by, found.digest) == ("", "")


async def test_opening_given_up_leaves_no_descriptor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await house.login("ada")
    house.file("/x", "hello")
    tree, go_on = house.server.files.tree, threading.Event()
    opened: list[int] = []
    real = tree.open

    def slow(parts: tuple[str, ...]) -> object:
        go_on.wait(30)
        found = real(parts)
        opened.append(found.fd)
        return found

    monkeypatch.setattr(tree, "open", slow)
    opening = asyncio.create_task(house.server.files.open(ada.identity, "/x"))
    await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    go_on.set()
    async with asyncio.timeout(30):
        while not opened or os.path.exists(f"/proc/self/fd/{opened[0]}"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

"""What is known of files: kept, found, moved, forgotten, and never believed of another file."""

import asyncio

import pytest

from tieline.errors import TielineError
from tieline.store.files.catalogue import BY_HAND, Entry, Sums
from tieline.store.files.facts import Facts
from tieline.store.sqlite import SqliteStore


def entry(path: str, size: int = 10, by: str = "ada", digest: bytes | None = bytes(32), at: int = 5) -> Entry:
    return Entry(path, size, 1_700_000_000_123_456_789, 42, digest, by, at)


async def paths(store: SqliteStore) -> list[str]:
    return [each.path for each in await store.entries("", 1000)]


async def test_what_is_recorded_is_found_by_its_path(either: SqliteStore) -> None:
    one, other = entry("/a/ünï"), entry("/b", digest=None)
    await either.record([one, other])
    assert await either.known(["/a/ünï", "/b", "/c"]) == {"/a/ünï": one, "/b": other}
    assert await either.known([]) == {}


async def test_many_are_found_at_once(store: SqliteStore) -> None:
    await store.record([entry(f"/{number}") for number in range(2000)])
    assert len(await store.known([f"/{number}" for number in range(1000, 3000)])) == 1000


async def test_an_entry_is_about_one_file_and_no_other() -> None:
    known = entry("/x")
    facts = Facts("x", "file", known.size, known.mtime_ns, known.inode, 0o644)
    assert known.holds(facts)
    for changed in ({"size": 11}, {"mtime_ns": known.mtime_ns + 1}, {"inode": 43}):
        assert not known.holds(Facts(**{name: getattr(facts, name) for name in facts.__struct_fields__} | changed))


async def test_sums_are_right_whatever_is_done(either: SqliteStore) -> None:
    told: list[dict[str, Sums]] = []
    either.on_sums = told.append
    await either.record([entry("/a", 10), entry("/b", 20), entry("/c", 5, by="bob")])
    assert await either.sums() == {"ada": Sums(30, 2), "bob": Sums(5, 1)}
    await either.record([entry("/a", 100)])
    assert (await either.sums())["ada"] == Sums(120, 2)
    await either.record([entry("/b", 7, by="bob")])
    assert await either.sums() == {"ada": Sums(100, 1), "bob": Sums(12, 2)}
    await either.moved(("a",), ("c",))
    assert await either.sums() == {"ada": Sums(100, 1), "bob": Sums(7, 1)}
    await either.forget(("c",))
    await either.forget(("b",))
    assert await either.sums() == {"ada": Sums(0, 0), "bob": Sums(0, 0)}
    assert told[-1] == await either.sums()
    assert len(told) == 6


async def test_a_folder_goes_with_all_in_it_and_nothing_beside_it(either: SqliteStore) -> None:
    everything = ["/a", "/a b/x", "/a-x", "/a.x", "/a/x", "/a/x/y", "/a0", "/aa/x", "/A/x", "/é/x"]
    await either.record([entry(path) for path in everything])
    await either.moved(("a",), ("moved", "ä"))
    assert sorted(await paths(either)) == sorted(
        ["/moved/ä", "/moved/ä/x", "/moved/ä/x/y", *everything[1:4], *everything[6:]]
    )
    await either.forget(("moved", "ä"))
    await either.forget(("é",))
    assert sorted(await paths(either)) == sorted([*everything[1:4], *everything[6:9]])


async def test_moving_forgets_what_was_known_of_the_target(either: SqliteStore) -> None:
    await either.record([entry("/new", 1), entry("/old", 2)])
    await either.moved(("new",), ("old",))
    assert [(each.path, each.size) for each in await either.entries("", 10)] == [("/old", 1)]


async def test_a_digest_that_is_learnt_leaves_whose_file_it_is(either: SqliteStore) -> None:
    await either.record([entry("/x", digest=None, by="ada", at=7)])
    await either.learn(entry("/x", size=99, digest=b"d" * 32, by=BY_HAND, at=8), 8)
    await either.learn(entry("/y", digest=b"e" * 32, by=BY_HAND), 8)
    await either.learn(entry("/x", size=1, digest=b"f" * 32, by=BY_HAND), 7)
    known = await either.known(["/x", "/y"])
    assert (known["/x"].by, known["/x"].at, known["/x"].size, known["/x"].digest) == ("ada", 7, 99, b"d" * 32)
    assert known["/y"].by == BY_HAND


async def test_a_thread_may_record_and_wait(store: SqliteStore) -> None:
    await asyncio.to_thread(lambda: store.record_from_thread([entry("/x")]).result(30))
    assert await paths(store) == ["/x"]


async def test_it_is_there_after_a_restart(store: SqliteStore, tmp_path: object) -> None:
    await store.record([entry("/x")])
    await store.close()
    await store.open()
    assert await store.known(["/x"]) == {"/x": entry("/x")}
    assert await store.sums() == {"ada": Sums(10, 1)}


async def test_a_store_that_is_closed_says_so(store: SqliteStore) -> None:
    await store.close()
    with pytest.raises(TielineError):
        await store.record([entry("/x")])
    await store.open()

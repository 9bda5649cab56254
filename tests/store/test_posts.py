"""Posting: gapless positions, retries that are the same message, group commit and what it promises."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieline.errors import Conflict, InvalidArgument, Overloaded, Unavailable
from tieline.limits import Limits
from tieline.promise import Promise
from tieline.store.chat import Committed, Message, Posted
from tieline.store.sqlite import SqliteStore


async def all_of(store: SqliteStore, room: str) -> list[Message]:
    return (await store.history(room, after=0, limit=1000)).messages


async def test_positions_run_from_one_in_each_room(either: SqliteStore) -> None:
    posted = [await either.post(room, "ada", "hi", f"{n}", n) for n, room in enumerate(["a", "a", "b", "a", "b"])]
    assert [p.position for p in posted] == [1, 2, 1, 3, 2]


async def test_posts_of_one_tick_keep_their_order(either: SqliteStore) -> None:
    posted = await asyncio.gather(*(either.post("lobby", "ada", f"text {n}", f"{n}", n) for n in range(2500)))
    assert [p.position for p in posted] == list(range(1, 2501))
    page = await either.history("lobby", after=0, limit=1000)
    assert [m.text for m in page.messages] == [f"text {n}" for n in range(1000)]


async def test_a_retry_is_the_same_message_for_ever(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path) as store:
        await store.post("lobby", "ada", "first", "0", 10)
        assert await store.post("lobby", "ada", "hi", "1", 20) == Posted(2, 20)
        assert await store.post("lobby", "ada", "hi", "1", 30) == Posted(2, 20, duplicate=True)
    async with SqliteStore(tmp_path) as store:
        assert await store.post("lobby", "ada", "hi", "1", 40) == Posted(2, 20, duplicate=True)
        assert len(await all_of(store, "lobby")) == 2


async def test_a_retry_in_the_same_batch_is_the_same_message(either: SqliteStore) -> None:
    futures = [either.post("lobby", "ada", text, text, 5) for text in ("a", "b", "a", "c", "b", "a")]
    posted = await asyncio.gather(*futures)
    assert [(p.position, p.duplicate) for p in posted] == [
        (1, False),
        (2, False),
        (1, True),
        (3, False),
        (2, True),
        (1, True),
    ]
    assert [m.text for m in await all_of(either, "lobby")] == ["a", "b", "c"]


async def test_two_authors_may_use_the_same_id(either: SqliteStore) -> None:
    assert (await either.post("lobby", "ada", "hi", "1", 0)).position == 1
    assert (await either.post("lobby", "bob", "hi", "1", 0)).position == 2


@pytest.mark.parametrize("together", [True, False])
async def test_an_id_used_for_another_message_is_a_conflict(either: SqliteStore, together: bool) -> None:
    first = either.post("lobby", "ada", "hi", "1", 0)
    if not together:
        await first
    other_text = either.post("lobby", "ada", "ho", "1", 0)
    other_room = either.post("kitchen", "ada", "hi", "1", 0)
    fine = either.post("lobby", "ada", "ho", "2", 0)
    for wrong in (other_text, other_room):
        with pytest.raises(Conflict, match="another message"):
            await wrong
    assert ((await first).position, (await fine).position) == (1, 2)
    assert await all_of(either, "kitchen") == []


async def test_commits_are_published_before_the_authors_are_answered(store: SqliteStore) -> None:
    told: list[object] = []
    store.on_committed = lambda added: told.append([post.outcome.position for post in added["lobby"]])
    futures = [store.post("lobby", "ada", "hi", f"{n}", 0).future() for n in range(3)]
    for future in futures:
        future.add_done_callback(lambda done: told.append(done.result().position))
    await asyncio.gather(*futures)
    positions = [p for entry in told if isinstance(entry, list) for p in entry]
    assert positions == [1, 2, 3]
    for position in positions:
        published = next(i for i, entry in enumerate(told) if isinstance(entry, list) and position in entry)
        assert published < told.index(position)


async def test_duplicates_are_not_published_again(store: SqliteStore) -> None:
    told: list[Committed] = []
    store.on_committed = told.append
    await store.post("lobby", "ada", "hi", "1", 0)
    await asyncio.gather(store.post("lobby", "ada", "hi", "1", 0), store.post("lobby", "bob", "yo", "1", 0))
    assert [m.text for added in told for m in added["lobby"]] == ["hi", "yo"]


async def test_rooms_that_take_turns_within_a_batch_each_have_their_own_log(either: SqliteStore) -> None:
    told: list[Committed] = []
    either.on_committed = told.append
    rooms = ["".join(name) for name in ["lobby", "lobby", "kitchen", "lobby", "kitchen", "kitchen"]]  # no two the same
    for turn in range(3):  # the first batch makes the rooms, the later ones know them
        posts = [either.post(room, "ada", f"{n}", f"{turn}-{n}", 0) for n, room in enumerate(rooms)]
        await asyncio.gather(*posts)
        for room in ("lobby", "kitchen"):
            mine = [post for post in posts if post.room == room]
            assert [post.outcome.position for post in mine] == [3 * turn + 1, 3 * turn + 2, 3 * turn + 3]
    for room in ("lobby", "kitchen"):
        assert [post.message() for added in told for post in added[room]] == await all_of(either, room)


async def test_batches_of_every_size_are_stored_whole(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path) as store:
        stored = 0
        for size in [*range(1, 70), 127, 128, 129, 1023, 1024]:
            posts = [store.post("lobby", "ada", "hi", f"{size}-{n}", 0) for n in range(size)]
            assert [p.position for p in await asyncio.gather(*posts)] == list(range(stored + 1, stored + size + 1))
            stored += size
        assert await store.head("lobby") == stored


async def test_a_batch_holds_at_most_commit_rows(tmp_path: Path) -> None:
    sizes: list[int] = []
    async with SqliteStore(tmp_path, limits=Limits(commit_rows=10)) as store:
        store.on_committed = lambda added: sizes.append(sum(map(len, added.values())))
        await asyncio.gather(*(store.post("lobby", "ada", "hi", f"{n}", 0) for n in range(95)))
    assert sum(sizes) == 95
    assert max(sizes) <= 10


async def test_time_never_goes_back_in_a_room(store: SqliteStore) -> None:
    posted = [await store.post("lobby", "ada", "hi", f"{at}", at) for at in (100, 50, 200, 10)]
    assert [p.at for p in posted] == [100, 100, 200, 200]


async def test_a_full_queue_refuses_instead_of_growing(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path, limits=Limits(commit_queue=3000)) as store:
        accepted = [store.post("lobby", "ada", "x" * 744, f"{n}", 0) for n in range(3)]
        with pytest.raises(Overloaded):
            store.post("lobby", "ada", "x" * 744, "3", 0)
        await asyncio.gather(*accepted)
        assert (await store.post("lobby", "ada", "there is room again", "last", 0)).position == 4


async def test_half_a_surrogate_is_refused_and_its_neighbours_are_stored(either: SqliteStore) -> None:
    before = either.post("lobby", "ada", "before", "1", 0)
    with pytest.raises(InvalidArgument):
        either.post("lobby", "ada", "\ud800", "2", 0)
    after = either.post("lobby", "ada", "after", "3", 0)
    assert [(await before).position, (await after).position] == [1, 2]


async def test_text_of_every_kind_comes_back_as_it_was(either: SqliteStore) -> None:
    texts = ["", "\x00", 'a "quoted" \\ line\r\n\t', "é 漢字 😀 \u202e", "x" * 65536, "\x7f\x1b[0m\u2028", "NULL"]
    for n, text in enumerate(texts):
        await either.post("lobby", "ada", text, f"{n}", 0)
    assert [m.text for m in await all_of(either, "lobby")] == texts


async def test_close_writes_what_is_queued(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.open()
    futures = [store.post("lobby", "ada", "hi", f"{n}", 0) for n in range(5000)]
    await store.close()
    assert all(post.is_told for post in futures)
    with pytest.raises(Unavailable):
        store.post("lobby", "ada", "late", "late", 0)
    async with SqliteStore(tmp_path) as store:
        assert await store.head("lobby") == 5000


async def test_a_cancelled_wait_does_not_disturb_the_batch(store: SqliteStore) -> None:
    posts = [store.post("lobby", "ada", "hi", f"{n}", 0) for n in range(3)]
    posts[1].future().cancel()
    posts[0].cancel()
    assert (await posts[2]).position == 3
    assert await store.head("lobby") == 3


async def test_many_rooms_do_not_fill_the_memory(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tieline.store.log._ROOMS_HELD", 3)
    for turn in range(3):
        posted = await asyncio.gather(*(store.post(f"r{n}", "ada", "hi", f"{turn}-{n}", 0) for n in range(10)))
        assert [p.position for p in posted] == [turn + 1] * 10


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["ada", "bob"]), st.integers(0, 12)),
        st.just("wait"),
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(ACTIONS)
async def test_any_mix_of_posts_and_retries_is_one_gapless_log(actions: list[object]) -> None:
    """Every (author, id) is in the log once, positions are 1..n, and every answer names its message's position."""
    async with SqliteStore(":memory:", limits=Limits(commit_rows=7)) as store:
        published: list[Message] = []
        store.on_committed = lambda added: published.extend(post.message() for post in added["lobby"])
        asked: list[tuple[str, str, Promise[Posted]]] = []
        for action in actions:
            if isinstance(action, tuple):
                by, number = action
                asked.append((by, f"id{number}", store.post("lobby", by, f"text {number}", f"id{number}", 0)))
            elif asked:
                await asked[-1][2]
        answers = [(by, id, await future) for by, id, future in asked]
        log = await all_of(store, "lobby")
        assert published == log
        assert [m.position for m in log] == list(range(1, len(log) + 1))
        assert {(m.by, m.id): m.position for m in log} == {(by, id): p.position for by, id, p in answers}
        fresh = Counter((by, id) for by, id, posted in answers if not posted.duplicate)
        assert all(count == 1 for count in fresh.values())
        assert len(fresh) == len(log)

import asyncio
import gc
import random
from typing import Annotated, Any

import msgspec
import pytest
from tests.rpc.conftest import hang_up, settle, until

from tieline.errors import ConfigError, Denied, InvalidArgument, LinkClosed, NotFound, Overloaded, TooLarge
from tieline.limits import KiB, Limits
from tieline.rpc import topics as topic_methods
from tieline.rpc.handlers import Handlers
from tieline.rpc.topic import Topic
from tieline.rpc.topics import Topics

TINY = Limits(event_queue=1500, topic_tail=3000, send_buffer=2000, subscribe_page=7)


class Room:
    """A topic over a log that is a list, with who came and went."""

    def __init__(self, name="ticks", *, logged=True, latest=False, limits=TINY, slow=False):
        self.handlers, self.topics = Handlers(), Topics()
        topic_methods.install(self.handlers, self.topics)
        self.log, self.moves, self.reads = [], [], 0
        self.slow = slow
        self.topic = self.topics.add(
            Topic(
                name,
                read=self.read if logged else None,
                latest=latest,
                on_change=lambda peer, came: self.moves.append(came),
                limits=limits,
            )
        )

    async def read(self, after, limit):
        self.reads += 1
        for _ in range(random.randrange(4) if self.slow else 1):
            await asyncio.sleep(0)
        return [(at, self.log[at - 1]) for at in range(after + 1, min(after + limit, len(self.log)) + 1)]

    def publish(self, *values):
        for value in values:
            self.log.append(value)
            self.topic.publish(value)

    @property
    def here(self):
        return self.moves.count(True) - self.moves.count(False)


@pytest.fixture
def room():
    return Room()


async def take(subscription, count):
    """The next positions; a test that waits for one that never comes fails by itself."""
    async with asyncio.timeout(5):
        return [(await anext(subscription)).position for _ in range(count)]


async def quiet(subscription):
    reader = asyncio.ensure_future(anext(subscription))
    await settle()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    return reader.cancelled()


# -- where one begins --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "first"), [(0, 1), (3, 4), (5, 6), (99, 1), (None, 6)])
async def test_one_begins_behind_the_position_one_names(join, room, after, first):
    client, _ = await join(room.handlers)
    room.publish(*range(5))
    subscription = client.subscribe("ticks", after=after)
    answer = await subscription.open()
    assert answer == {"topic": "ticks", "position": first - 1}
    room.publish("new")
    assert await take(subscription, 7 - first) == list(range(first, 7))


async def test_who_knows_of_an_event_before_it_is_published_is_not_sent_all_anew(join):
    """As from a page of history that was read between the commit and its publishing."""

    async def settled():
        topic.publish("stored already")

    handlers, topics = Handlers(), Topics()
    topic_methods.install(handlers, topics)
    topic = topics.add(Topic("ticks", settled=settled))
    client, _ = await join(handlers)
    topic.publish("old")
    subscription = client.subscribe("ticks", after=2)
    assert (await subscription.open())["position"] == 2
    topic.publish("new")
    assert await take(subscription, 1) == [3]


async def test_what_came_since_the_server_began_is_news_to_who_has_seen_more_than_there_is(join):
    topic = Topic("ticks", position=10, begun=8, read=reading_nothing)
    handlers, topics = Handlers(), Topics()
    topic_methods.install(handlers, topics)
    topics.add(topic)
    client, _ = await join(handlers)
    for after, start in ((None, 10), (9, 9), (99, 8)):
        assert (await client.subscribe("ticks", after=after).open())["position"] == start


async def reading_nothing(after, limit):
    return []


async def test_an_event_says_topic_position_and_value(join, room):
    client, _ = await join(room.handlers)
    room.publish({"a": 1})
    event = await anext(client.subscribe("ticks", after=0))
    assert (event.topic, event.position, event.value) == ("ticks", 1, {"a": 1})


async def test_values_are_decoded_as_one_wants_them(join, room):
    class Tick(msgspec.Struct):
        n: Annotated[int, msgspec.Meta(ge=0)]

    client, _ = await join(room.handlers)
    room.publish({"n": 1}, {"n": -1}, {"n": 3})
    subscription = client.subscribe("ticks", after=0, value=Tick)
    assert (await anext(subscription)).value == Tick(1)
    with pytest.raises(InvalidArgument, match="ticks"):
        await anext(subscription)
    assert (await anext(subscription)).value == Tick(3)


@pytest.mark.parametrize("after", [None, 0, 3, 99])
async def test_of_a_latest_topic_one_gets_the_newest_value_at_once(join, after):
    room = Room(logged=False, latest=True)
    client, _ = await join(room.handlers)
    room.publish(*range(10))
    first, second = client.subscribe("ticks", after=after), client.subscribe("ticks", after=after)
    for subscription in (first, second):
        assert await take(subscription, 1) == [10], (
            "also behind a position of an earlier server, which is not reached yet"
        )
    room.publish("new")
    assert await take(first, 1) == await take(second, 1) == [11]


async def test_a_latest_topic_without_a_value_waits_for_one(join):
    room = Room(logged=False, latest=True)
    client, _ = await join(room.handlers)
    subscription = client.subscribe("ticks")
    assert await quiet(subscription)
    room.publish("first")
    assert await take(subscription, 1) == [1]


async def test_of_a_latest_topic_a_slow_reader_misses_what_is_old(join):
    room = Room(logged=False, latest=True)
    client, server = await join(room.handlers, limits=TINY)
    subscription = client.subscribe("ticks")
    await subscription.open()
    client.link.stream.pause_reading()
    for _ in range(100):
        room.publish("x" * 100)
        await settle(2)
    assert server.link.stream.buffered() < 5000
    client.link.stream.resume_reading()
    positions = []
    while not positions or positions[-1] < 100:
        positions += await take(subscription, 1)
    assert positions == sorted(set(positions))
    assert len(positions) < 50


async def test_without_a_log_one_begins_with_the_oldest_that_is_kept(join):
    room = Room(logged=False)
    client, _ = await join(room.handlers)
    room.publish(*["x" * 100] * 100)
    subscription = client.subscribe("ticks", after=0)
    (first,) = await take(subscription, 1)
    assert 50 < first <= 100
    assert await take(subscription, 100 - first) == list(range(first + 1, 101))


# -- who may, and what there is ----------------------------------------------------------------------------------------


async def test_topics_are_found_by_name_or_by_the_longest_prefix(join, room):
    opened = []

    def family(kind):
        async def open_topic(name, peer):
            opened.append((kind, name, peer.identity.account))
            return Topic(name)

        return open_topic

    room.topics.add_family("room/", family("room"))
    room.topics.add_family("room/secret/", family("secret"), scope="admin")
    client, _ = await join(room.handlers)
    await client.subscribe("room/lobby").open()
    assert opened == [("room", "room/lobby", "ada")]
    with pytest.raises(Denied, match="admin"):
        await client.subscribe("room/secret/x").open()
    with pytest.raises(NotFound, match="no topic 'nope' here; did you mean 'room/nope'"):
        await client.subscribe("nope").open()
    for again in (lambda: room.topics.add(Topic("ticks")), lambda: room.topics.add_family("room/", family(""))):
        with pytest.raises(ConfigError, match="exists"):
            again()


async def test_a_topic_may_have_another_name_than_one_asked_for(join, room):
    pair = Topic("room/@ada+bob")

    async def open_topic(name, peer):
        return pair

    room.topics.add_family("room/@", open_topic)
    client, _ = await join(room.handlers)
    subscription = client.subscribe("room/@bob")
    await subscription.open()
    pair.publish("hello")
    assert (await anext(subscription)).topic == subscription.topic == "room/@ada+bob"
    await subscription.aclose()
    await settle()
    assert not pair.subscribers


async def test_a_link_follows_a_bounded_number_of_topics(join, room):
    async def open_topic(name, peer):
        return Topic(name)

    room.topics.add_family("many/", open_topic)
    client, _ = await join(room.handlers, limits=Limits(topics=3))
    kept = [client.subscribe(f"many/{n}") for n in range(3)]
    for subscription in kept:
        await subscription.open()
    with pytest.raises(Overloaded):
        await client.subscribe("many/3").open()
    await kept[0].aclose()
    await client.subscribe("many/3").open()


async def test_publishing_takes_the_next_position_only(room):
    assert room.topic.publish("a", 1) == 1
    for position in (1, 3, 0):
        with pytest.raises(ValueError, match="position"):
            room.topic.publish("b", position)
    assert room.topic.publish("b") == 2
    assert repr(room.topic) == "<Topic ticks at 2 subscribers=0>"


async def test_an_event_that_fits_no_frame_is_refused_where_it_is_published(join, room):
    topic = Topic("big", limits=Limits(frame=1000))
    room.topics.add(topic)
    client, _ = await join(room.handlers, limits=Limits(frame=1000))
    subscription = client.subscribe("big", after=0)
    await subscription.open()
    with pytest.raises(TooLarge):
        topic.publish("x" * 1001)
    topic.publish("x" * 900)
    assert await take(subscription, 1) == [1]


# -- ending ------------------------------------------------------------------------------------------------------------


async def test_aclose_leaves_the_topic_once_the_last_reader_has_gone(join, room):
    client, _ = await join(room.handlers)
    first, second = client.subscribe("ticks"), client.subscribe("ticks")
    await first.open()
    await second.open()
    assert room.moves == [True]
    await first.aclose()
    await settle()
    assert room.moves == [True]
    room.publish("still")
    assert await take(second, 1) == [1]
    await second.aclose()
    await second.aclose()
    await settle()
    assert room.moves == [True, False]
    with pytest.raises(StopAsyncIteration):
        await anext(second)


async def test_leaving_the_loop_leaves_the_topic(join, room):
    client, _ = await join(room.handlers)
    room.publish("a", "b")
    async for event in client.subscribe("ticks", after=0):
        if event.position == 2:
            break
    gc.collect()
    await settle()
    assert room.moves == [True, False]
    assert not client.feeds._by_topic


async def test_a_subscription_closed_before_it_was_opened_never_subscribes(join, room):
    client, _ = await join(room.handlers)
    subscription = client.subscribe("ticks")
    await subscription.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)
    await settle()
    assert room.moves == []


async def test_aclose_ends_the_wait_of_whoever_reads(join, room):
    client, _ = await join(room.handlers)
    subscription = client.subscribe("ticks")
    reader = asyncio.create_task(anext(subscription))
    await settle()
    await subscription.aclose()
    with pytest.raises(StopAsyncIteration):
        await reader


async def test_two_tasks_may_not_read_one_subscription(join, room):
    client, _ = await join(room.handlers)
    subscription = client.subscribe("ticks")
    reader = asyncio.create_task(anext(subscription))
    await settle()
    with pytest.raises(RuntimeError, match="two tasks"):
        await anext(subscription)
    room.publish("a")
    assert (await reader).position == 1


@pytest.mark.parametrize("turns", range(6))
async def test_leaving_and_coming_again_at_once_misses_nothing(join, room, turns):
    client, _ = await join(room.handlers)
    first = client.subscribe("ticks")
    await first.open()
    await first.aclose()
    await settle(turns)
    second = client.subscribe("ticks")
    await second.open()
    await settle()
    assert room.here == 1
    room.publish("a")
    assert await take(second, 1) == [1]


@pytest.mark.parametrize("turns", range(6))
async def test_dropping_one_while_another_is_opened_misses_nothing(join, room, turns):
    client, _ = await join(room.handlers)
    first = client.subscribe("ticks")
    await first.open()
    second = client.subscribe("ticks")
    opening = asyncio.create_task(second.open())
    await settle(turns)
    del first
    gc.collect()
    await opening
    await settle()
    room.publish("a")
    assert await take(second, 1) == [1]
    await second.aclose()
    await settle()
    assert room.here == 0


async def test_giving_up_while_subscribing_leaves_nothing_behind(join, room):
    client, _ = await join(room.handlers)
    for turns in range(12):
        opening = asyncio.create_task(client.subscribe("ticks").open())
        await settle(turns)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        del opening
        gc.collect()
        await settle()
        assert room.here == 0


async def test_a_lost_link_ends_every_subscription_and_the_server_forgets_it(join, room):
    client, server = await join(room.handlers)
    room.publish("a")
    subscription = client.subscribe("ticks", after=0)
    await subscription.open()
    await settle()
    server.link.abort(LinkClosed("gone"))
    await settle()
    assert await take(subscription, 1) == [1]  # what had arrived is still there
    for _ in range(2):
        with pytest.raises(LinkClosed):
            await anext(subscription)
    assert room.moves == [True, False]
    assert not room.topic.subscribers
    room.publish("b")
    with pytest.raises(LinkClosed):
        await client.subscribe("ticks").open()


async def test_nobody_can_be_subscribed_who_is_gone(join, room):
    client, server = await join(room.handlers)
    await hang_up(client, server)
    with pytest.raises(LinkClosed):
        server.attach(room.topic, 0)
    assert room.moves == []


async def test_cut_leaves_every_topic_at_once(join, room):
    client, server = await join(room.handlers)
    await client.subscribe("ticks").open()
    server.cut("revoked")
    assert room.moves == [True, False]


async def test_a_topic_that_took_the_place_of_another_is_followed_instead(join, room):
    old, new = Topic("x", on_change=lambda peer, came: room.moves.append(("old", came))), Topic("x")
    _, server = await join(room.handlers)
    server.attach(old, None)
    server.attach(new, None)
    assert room.moves == [("old", True), ("old", False)]
    assert not old.subscribers
    assert len(new.subscribers) == 1


# -- each event once, in order -----------------------------------------------------------------------------------------


async def test_events_published_by_those_who_hear_of_a_newcomer_are_not_lost_to_it(join, room):
    """Whatever is sent to a new subscriber is sent after the answer that makes it one."""
    client, _ = await join(room.handlers, limits=Limits())
    announced = Topic("crowd", on_change=lambda peer, came: came and [announced.publish("x" * 300_000) for _ in "ab"])
    room.topics.add(announced)
    subscription = client.subscribe("crowd")
    await subscription.open()
    assert await take(subscription, 2) == [1, 2]


@pytest.mark.parametrize("delay", range(8))
async def test_a_second_reader_from_the_beginning_while_events_keep_coming(join, room, delay):
    client, _ = await join(room.handlers, limits=Limits(), client_limits=Limits())
    room.publish(*range(50))
    first = client.subscribe("ticks")
    await first.open()
    opening = asyncio.create_task((second := client.subscribe("ticks", after=0)).open())
    for _ in range(delay):
        room.publish("between")
        await asyncio.sleep(0)
    room.publish("between")
    await opening
    total = len(room.log)
    assert await take(second, total) == list(range(1, total + 1))
    assert await take(first, total - 50) == list(range(51, total + 1))


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_happens_each_reader_gets_each_event_once_and_in_order(join, seed):
    """Readers come at any position, pause, drop out; the link stalls; the log is slow; queues and tails are tiny."""
    dice = random.Random(seed)
    random.seed(seed)
    room = Room(slow=True)
    client, _ = await join(room.handlers, limits=TINY)
    readers: list[asyncio.Task[Any]] = []
    total = 400
    pauses = dice.choice([[0], [0] * 20 + [30], [0, 1, 5]])

    async def read(after):
        subscription = client.subscribe("ticks", after=after)
        answer = await subscription.open()
        expected = answer["position"] if after is None else min(after, answer["position"])
        leave_at = dice.choice([total, total, dice.randrange(1, total + 1)])
        while expected < leave_at:
            event = await anext(subscription)
            expected += 1
            assert event.position == expected
            assert event.value == room.log[expected - 1]
            await settle(dice.choice(pauses))
        await subscription.aclose()

    while len(room.log) < total:
        for _ in range(min(dice.choice((0, 1, 1, 2, 30)), total - len(room.log))):
            room.publish("x" * dice.randrange(200))
        if len(readers) < 8 and dice.random() < 0.1:
            readers.append(asyncio.create_task(read(dice.choice([0, 0, None, dice.randrange(len(room.log) + 1)]))))
        if dice.random() < 0.05:
            dice.choice([client.link.stream.pause_reading, client.link.stream.resume_reading])()
        await settle(dice.choice((0, 1, 5)))
    client.link.stream.resume_reading()
    async with asyncio.timeout(10):
        await asyncio.gather(*readers)
    await until(lambda: room.here == 0)


@pytest.mark.parametrize("seed", range(15))
async def test_a_peer_that_comes_back_goes_on_where_it_was(join, seed):
    dice = random.Random(seed)
    room = Room(slow=True)
    client, server = await join(room.handlers, limits=TINY)
    client.__class__ = type(
        "Returning", (type(client),), {"comes_back": True, "__slots__": (), "_linked": waiting_link}
    )
    seen = {0: [], 1: []}

    async def read(which, after):
        async for event in client.subscribe("ticks", after=after):
            seen[which].append(event.position)
            for _ in range(dice.choice((0, 0, 0, 9))):
                await asyncio.sleep(0)
            if event.position == 300:
                return

    readers = [asyncio.create_task(read(0, 0)), asyncio.create_task(read(1, 0))]
    await settle(dice.randrange(10))
    while len(room.log) < 300:
        room.publish(*["x" * 50] * min(dice.choice((1, 1, 9)), 300 - len(room.log)))
        await settle(dice.choice((0, 1, 2)))
        if dice.random() < 0.05:
            server.link.abort(LinkClosed("gone"))
            await until(lambda: not client.is_open)
            fresh, server = await join(room.handlers, limits=TINY)
            client.use(fresh.link)
            fresh._link = None
            back = asyncio.create_task(client.feeds.link_back())
            room.publish(*["y"] * min(dice.choice((0, 3)), 300 - len(room.log)))
            await (settle(dice.randrange(5)) if dice.random() < 0.5 else back)
    async with asyncio.timeout(10):
        await asyncio.gather(*readers)
    assert seen == {0: list(range(1, 301)), 1: list(range(1, 301))}
    await settle()


async def waiting_link(self, timeout, turn):
    await until(lambda: self._link is not None and not self._link.session.closing)
    return self._link


# -- the slow and the others -------------------------------------------------------------------------------------------


async def test_a_slow_subscriber_holds_up_nobody_is_not_cut_off_and_catches_up(join):
    room = Room(limits=Limits(topic_tail=64 * KiB))
    limits = Limits(send_buffer=8 * KiB)
    slow, served = await join(room.handlers, limits=limits)
    quick, _ = await join(room.handlers, limits=limits)
    behind, ahead = slow.subscribe("ticks", after=0), quick.subscribe("ticks", after=0)
    await behind.open()
    await ahead.open()
    slow.link.stream.pause_reading()
    for _ in range(500):
        room.publish("x" * 1000)
        await settle(2)
    assert await take(ahead, 500) == list(range(1, 501))
    assert served.link.stream.buffered() < 32 * KiB
    assert room.topic._tail_bytes <= 64 * KiB
    assert room.reads == 0
    slow.link.stream.resume_reading()
    assert await take(behind, 500) == list(range(1, 501))
    assert room.reads > 0
    room.publish("and on")
    assert await take(behind, 1) == await take(ahead, 1) == [501]


async def test_large_events_of_the_log_are_sent_bit_by_bit(join):
    room = Room(limits=Limits())
    client, served = await join(room.handlers, limits=Limits())
    room.publish(*[b"x" * 60_000] * 400)
    subscription = client.subscribe("ticks", after=0)
    await subscription.open()
    client.link.stream.pause_reading()
    await settle(100)
    assert served.link.stream.buffered() < 1_000_000
    client.link.stream.resume_reading()
    assert await take(subscription, 400) == list(range(1, 401))


async def test_a_reader_far_behind_its_own_queue_costs_the_link_little(join):
    """What does not fit the reader's queue is not sent again and again."""
    room = Room(limits=Limits(topic_tail=4 * KiB, send_buffer=4 * KiB))
    room.publish(*["x" * 90] * 3000)
    client, served = await join(
        room.handlers, limits=Limits(send_buffer=4 * KiB), client_limits=Limits(event_queue=4 * KiB)
    )
    subscription = client.subscribe("ticks", after=0)
    for position in range(1, 3001):
        assert (await anext(subscription)).position == position
        if position % 10 == 0:
            await settle(3)
    whole = sum(len(value) + 20 for value in room.log)
    assert served.link.stream.bytes_out < 12 * whole


def test_a_log_that_cannot_be_read_for_a_while_is_read_later(story, clock, caplog):
    room = Room()
    room.publish(*["x" * 200] * 100)
    broken = [True]
    whole = room.topic._read

    async def read(after, limit):
        if broken[0]:
            raise OSError("the disk is away")
        return await whole(after, limit)

    room.topic._read = read

    async def play(client, server):
        subscription = client.subscribe("ticks", after=0)
        await subscription.open()
        await clock.advance(3.0)
        assert "the disk is away" in caplog.text
        broken[0] = False
        await clock.advance(3.0)
        assert [(await anext(subscription)).position for _ in range(100)] == list(range(1, 101))

    story(play, room.handlers)


async def test_a_log_that_does_not_reach_back_begins_where_it_can(join):
    room = Room()
    room.publish(*["x" * 200] * 100)
    client, _ = await join(room.handlers)

    async def read(after, limit):
        return []

    room.topic._read = read
    subscription = client.subscribe("ticks", after=0)
    (first,) = await take(subscription, 1)
    assert first > 50
    assert await take(subscription, 100 - first) == list(range(first + 1, 101))


async def test_a_flood_in_one_tick_reaches_a_topic_without_a_log_whole(join):
    room = Room(logged=False, limits=Limits())
    client, _ = await join(room.handlers, limits=Limits(send_buffer=64 << 20, event_queue=64 << 20))
    subscription = client.subscribe("ticks")
    await subscription.open()
    room.publish(*["x" * 10_000] * 1000)  # ten times what the topic keeps
    assert await take(subscription, 1000) == list(range(1, 1001))


async def test_one_encoded_event_serves_all(join):
    room = Room()
    pairs = [await join(room.handlers) for _ in range(5)]
    subscriptions = [client.subscribe("ticks") for client, _ in pairs]
    for subscription in subscriptions:
        await subscription.open()
    before = [server.link.stream.bytes_out for _, server in pairs]
    room.publish("a", "b", "c")
    for subscription in subscriptions:
        assert await take(subscription, 3) == [1, 2, 3]
    assert len({server.link.stream.bytes_out - was for (_, server), was in zip(pairs, before, strict=True)}) == 1


# -- a server that does not keep to the rules -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x92\xa1t\x01", b"\x93\xa1\xff\x01\x01", b"\x93\xa1t\x01" + b"\x91" * 100_000]
)
async def test_an_event_nobody_can_read_ends_the_link(join, room, payload):
    from tieline.wire.frames import Kind, frame

    client, server = await join(room.handlers)
    await client.subscribe("ticks").open()
    server.session.send_events(frame(Kind.EVENT, 0, payload))
    server.link.flush()
    await until(lambda: not client.is_open)
    await until(lambda: not server.is_open)


async def test_events_nobody_asked_for_are_dropped(join, room):
    client, server = await join(room.handlers)
    server.attach(room.topic, 0)
    room.publish("a")
    await settle()
    subscription = client.subscribe("ticks", after=0)
    assert await take(subscription, 1) == [1]

"""A subscriber that reads too slowly, or not at all for a while, still gets every event once and in order."""

import asyncio
import random

import pytest
from tests.rpc.conftest import settle

from tieline.errors import LinkClosed
from tieline.limits import Limits
from tieline.rpc import topics as topic_methods
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.rpc.topic import Topic
from tieline.rpc.topics import Topics

SMALL = Limits(event_queue=1500, topic_tail=3000, send_buffer=2000, subscribe_page=7)


def reading(log):
    """What reads on from `log`, a list."""

    async def read(after, limit):
        await asyncio.sleep(0)
        return [(position, log[position - 1]) for position in range(after + 1, min(after + limit, len(log)) + 1)]

    return read


def offer(log, read):
    """Handlers with one topic over `log`; without `read` only its newest events are kept."""
    handlers, topics = Handlers(), Topics()
    topic_methods.install(handlers, topics)
    topic = topics.add(Topic("ticks", read=read, limits=SMALL))
    return handlers, topic


async def follow(client, log, topic, dice, total):
    """Publish and read in an order the dice decide, until the last event is read; returns the positions read."""
    subscription = client.subscribe("ticks", after=0)
    seen = []
    while not seen or seen[-1] < total:
        for _ in range(dice.choice((0, 0, 1, 30, 100))):
            if len(log) < total:
                log.append("x" * dice.randrange(200))
                topic.publish(log[-1])
        for _ in range(dice.choice((0, 1, 3))):
            await asyncio.sleep(0)
        if not log:
            continue
        for _ in range(dice.choice((1, 5, 50))):
            if seen and seen[-1] >= len(log):
                break
            event = await asyncio.wait_for(anext(subscription), 5)
            assert event.value == log[event.position - 1]
            seen.append(event.position)
    await subscription.aclose()
    return seen


@pytest.mark.parametrize("seed", range(12))
async def test_a_reader_that_falls_behind_gets_every_event_once_and_in_order(join, seed):
    log = []
    handlers, topic = offer(log, reading(log))
    client, _ = await join(handlers, limits=SMALL)
    seen = await follow(client, log, topic, random.Random(seed), 600)
    assert seen == list(range(1, 601))


@pytest.mark.parametrize("seed", range(6))
async def test_without_a_log_what_is_kept_no_more_is_skipped_and_the_rest_comes_in_order(join, seed):
    log = []
    handlers, topic = offer(log, None)
    client, _ = await join(handlers, limits=SMALL)
    seen = await follow(client, log, topic, random.Random(seed), 600)
    assert seen == sorted(set(seen))
    assert seen[-1] == 600


async def test_a_second_reader_gets_what_it_asked_for_while_the_first_is_being_read_on_to(join):
    log, may_read = [], asyncio.Event()

    async def read(after, limit):
        await may_read.wait()
        return await reading(log)(after, limit)

    handlers, topic = offer(log, read)
    for number in range(300):
        log.append(f"{number} {'x' * 50}")
        topic.publish(log[-1])
    client, _ = await join(handlers, limits=SMALL)
    first, second = client.subscribe("ticks", after=50), client.subscribe("ticks", after=3)
    await first.open()
    (subscriber,) = topic.subscribers
    assert subscriber.catching_up is not None
    await second.open()
    may_read.set()
    assert [(await asyncio.wait_for(anext(second), 5)).position for _ in range(100)] == list(range(4, 104))
    assert [(await asyncio.wait_for(anext(first), 5)).position for _ in range(100)] == list(range(51, 151))
    await first.aclose()
    await second.aclose()


async def test_who_reads_while_the_link_is_away_does_not_ask_for_what_is_asked_for_anyway(join, monkeypatch):
    log, asked_twice, rewind = [], [], Topic.rewind
    monkeypatch.setattr(Topic, "rewind", lambda *who: asked_twice.append(who) or rewind(*who))
    handlers, topic = offer(log, reading(log))
    client, _ = await join(handlers)
    monkeypatch.setattr(Peer, "comes_back", True)
    subscription = client.subscribe("ticks", after=0)
    log.append("before")
    topic.publish(log[-1])
    assert (await anext(subscription)).position == 1
    client.link.abort(LinkClosed("gone"))
    await settle()
    waiting = asyncio.create_task(anext(subscription))
    await settle()
    log.append("meanwhile")
    topic.publish(log[-1])
    again, _ = await join(handlers)
    client.use(again.link)
    await client.feeds.link_back()
    assert (await asyncio.wait_for(waiting, 5)).position == 2
    await settle()
    assert asked_twice == []
    await subscription.aclose()


async def test_no_topic_waits_for_another_when_the_link_is_back(join, monkeypatch):
    log, gate = [], asyncio.Event()
    handlers, topic = offer(log, reading(log))
    slow = Topic("slow/one", limits=SMALL)

    async def open_slowly(name, peer):
        await gate.wait()
        return slow

    topics = Topics()
    topics.add(topic)
    topics.add_family("slow/", open_slowly)
    handlers = Handlers()
    topic_methods.install(handlers, topics)
    client, _ = await join(handlers)
    monkeypatch.setattr(Peer, "comes_back", True)
    gate.set()
    waiting, reading_on = client.subscribe("slow/one", after=0), client.subscribe("ticks", after=0)
    for subscription in (waiting, reading_on):
        await subscription.open()
    gate.clear()
    client.link.abort(LinkClosed("gone"))
    await settle()
    log.append("meanwhile")
    topic.publish(log[-1])
    again, _ = await join(handlers)
    client.use(again.link)
    back = asyncio.create_task(client.feeds.link_back())
    assert (await asyncio.wait_for(anext(reading_on), 5)).position == 1
    assert not back.done()
    gate.set()
    await back
    slow.publish("at last")
    assert (await asyncio.wait_for(anext(waiting), 5)).value == "at last"
    for subscription in (waiting, reading_on):
        await subscription.aclose()

"""A subscriber that reads too slowly, or not at all for a while, still gets every event once and in order."""

import asyncio
import random

import pytest

from tieline.limits import Limits
from tieline.rpc import topics as topic_methods
from tieline.rpc.handlers import Handlers
from tieline.rpc.topics import Topic, Topics

SMALL = Limits(event_queue=1500, topic_tail=3000, send_buffer=2000, subscribe_page=7)


def offer(log, *, kept=True):
    """Handlers with one topic over `log`, a list; `kept` is whether the topic may read it."""

    async def read(after, limit):
        await asyncio.sleep(0)
        return [(position, log[position - 1]) for position in range(after + 1, min(after + limit, len(log)) + 1)]

    handlers, topics = Handlers(), Topics()
    topic_methods.install(handlers, topics)
    topic = topics.add(Topic("ticks", read=read if kept else None, limits=SMALL))
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
    handlers, topic = offer(log)
    client, _ = await join(handlers, limits=SMALL)
    seen = await follow(client, log, topic, random.Random(seed), 600)
    assert seen == list(range(1, 601))


@pytest.mark.parametrize("seed", range(6))
async def test_without_a_log_what_is_kept_no_more_is_skipped_and_the_rest_comes_in_order(join, seed):
    log = []
    handlers, topic = offer(log, kept=False)
    client, _ = await join(handlers, limits=SMALL)
    seen = await follow(client, log, topic, random.Random(seed), 600)
    assert seen == sorted(set(seen))
    assert seen[-1] == 600


async def test_a_subscriber_rewound_while_it_is_read_on_to_is_sent_everything_again(join):
    log = []
    handlers, topic = offer(log)
    for number in range(300):
        log.append(f"{number} {'x' * 50}")
        topic.publish(log[-1])
    client, server = await join(handlers, limits=SMALL)
    positions = []
    send_events = server.session.send_events
    subscription = client.subscribe("ticks", after=0)
    await subscription.open()
    (subscriber,) = topic.subscribers
    while subscriber.catching_up is None or subscriber.position < 20:
        await asyncio.sleep(0)
        await asyncio.wait_for(anext(subscription), 5)
    await client.call("topics.subscribe", topic="ticks", after=3)
    assert subscriber.position < 20, "the page that was being read undid it"
    del positions, send_events
    await subscription.aclose()

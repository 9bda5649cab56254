"""Any frames to a logged-in server: each call is answered at most once, or the link ends and says why; no complaint."""

import asyncio
import logging
from collections.abc import AsyncIterator
from random import Random
from typing import Any

from fuzz.material import mutated, pieces
from fuzz.session import likely
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.login.identity import Identity
from tieline.rpc import topics
from tieline.rpc.handlers import Handlers
from tieline.rpc.peer import Peer
from tieline.transports import memory
from tieline.transports.stream import Stream
from tieline.wire.frames import PREFACE, FrameCutter, Kind, frame
from tieline.wire.messages import encode
from tieline.wire.moves import Side

LIMITS = Limits(frame=2000, login_frame=300, window=500, calls=5, topics=2)
ADA = Identity("ada", "fuzz", frozenset({"chat"}), "native", "")


def offered() -> Handlers:
    handlers, offer = Handlers(), topics.Topics()
    topics.install(handlers, offer)
    ticks = offer.add(topics.Topic("ticks", limits=LIMITS))

    async def wait(seconds: float = 0.0) -> None:
        await asyncio.sleep(min(seconds, 0.001))

    async def count(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    async def copy(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in source:
            yield item

    def tick(value: Any) -> int:
        return ticks.publish(value)

    for function in (wait, count, copy, tick):
        handlers.add(function)
    return handlers


class Far:
    """The caller: writes what the dice say and notes what is answered."""

    def __init__(self) -> None:
        self.cutter = FrameCutter(1 << 20)
        self.answered: set[int] = set()
        self.called: set[int] = set()
        self.goodbye = self.gone = False
        self.confused = False  # it sent something of which it does not know itself what it is
        self.stream: Stream

    def opened(self, stream: Stream) -> None:
        self.stream = stream

    def received(self, data: memoryview) -> None:
        for kind, channel, _ in self.cutter.feed(bytes(data)):
            self.goodbye |= kind == Kind.GOAWAY
            if kind in (Kind.RESULT, Kind.ERROR):
                assert channel in self.called or self.confused, f"channel {channel} was never called"
                assert channel not in self.answered, f"channel {channel} was answered twice"
                self.answered.add(channel)

    def finished(self) -> None: ...

    def ended(self, error: Exception | None) -> None:
        self.gone = True

    def writable(self, yes: bool) -> None: ...


def call(dice: Random, channel: int) -> bytes:
    method, params = dice.choice(
        (
            ("wait", {"seconds": dice.choice((0, -1, 1e300, float("nan")))}),
            ("count", {"to": dice.choice((0, 3, 1000))}),
            ("copy", {}),
            ("tick", {"value": "x" * dice.randrange(1500)}),
            ("topics.subscribe", {"topic": "ticks", "after": dice.choice((None, 0, -1, 5))}),
            ("topics.unsubscribe", {"topic": "ticks"}),
            ("topics.hold", {"topic": "ticks"}),
            ("nothing", {}),
        )
    )
    timeout = dice.choice((None, None, 0.0, -1.0, 1e9, float("nan")))
    return frame(Kind.CALL, channel, encode((method, params, timeout, dice.random() < 0.4)))


async def play(dice: Random) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    far, peer = Far(), Peer(LIMITS, offered(), ADA)
    link = FrameLink(Side.SERVER, LIMITS, peer)
    memory.pair(link, far, limits=LIMITS)
    link.session.skip_login()
    peer.use(link)
    far.stream.write(PREFACE)
    channel = -1
    for _ in range(dice.randrange(40)):
        if dice.random() < 0.6:
            channel += 2
            data = call(dice, channel)
            far.called.add(channel)
        else:
            at = max(1, channel - 2 * dice.randrange(3))
            kind = dice.choice((Kind.ITEM, Kind.DATA, Kind.END, Kind.CANCEL, Kind.CREDIT, Kind.PING))
            payload = encode(dice.choice((1, 500))) if kind != Kind.DATA else b"x" * dice.randrange(200)
            data = frame(kind, 0 if kind == Kind.PING else at, payload)
            if dice.random() < 0.03:
                data, far.confused = mutated(dice, likely(dice, [at])), True
        for piece in pieces(dice, data):
            far.stream.write(piece)
        if dice.random() < 0.3:
            await asyncio.sleep(0)
        if dice.random() < 0.05:
            dice.choice((far.stream.pause_reading, far.stream.resume_reading))()
    far.stream.resume_reading()
    for _ in range(20):
        await asyncio.sleep(0)
    assert far.goodbye or not far.gone
    far.stream.abort()
    await asyncio.sleep(0.002)
    for _ in range(20):
        await asyncio.sleep(0)
    assert link.ended_with is not None
    assert not peer.running
    assert len(asyncio.all_tasks()) == 1
    assert not complaints, complaints


def once(dice: Random) -> None:
    logging.disable(logging.CRITICAL)  # peers that break the rules are nothing to write home about here
    try:
        asyncio.run(play(dice))
    finally:
        logging.disable(logging.NOTSET)

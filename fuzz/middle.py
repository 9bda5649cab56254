"""Frames lost, doubled or overtaken between two logged-in ends: calls end in time, and the link goes on or says why."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from random import Random
from typing import Any

from fuzz.peer import ADA, offered
from tieline.errors import LinkError, TielineError
from tieline.limits import Limits
from tieline.link.frame_link import FrameLink
from tieline.rpc.peer import Peer
from tieline.testing.clock import Clock
from tieline.transports import memory
from tieline.transports.stream import Stream
from tieline.wire.frames import PREFACE, FrameCutter, frame
from tieline.wire.moves import Side

LIMITS = Limits(frame=2000, login_frame=300, window=500, calls=20, topics=4)
LONGEST = 30.0
"Seconds the longest call here may take."


class Middle:
    """One of the two faces of whoever sits in between: passes on what it is sent, or does not, or twice, or later."""

    def __init__(self, dice: Random, mischief: float) -> None:
        self._dice = dice
        self._mischief = mischief
        self._cutter = FrameCutter(1 << 20)
        self._late: list[bytes] = []
        self._began = False
        self.other: Middle
        self.stream: Stream

    def opened(self, stream: Stream) -> None:
        self.stream = stream

    def received(self, data: bytes | memoryview) -> None:
        if not self._began:
            self._began = True
            self.other.stream.write(PREFACE)
        for kind, channel, payload in self._cutter.feed(bytes(data)):
            self._pass_on(frame(kind, channel, bytes(payload)))

    def _pass_on(self, whole: bytes) -> None:
        late, self._late = self._late, []
        if self._dice.random() < self._mischief:
            match self._dice.randrange(3):
                case 0:
                    whole = b""
                case 1:
                    whole += whole
                case 2:
                    self._late.append(whole)
                    whole = b""
        for piece in (whole, *late):
            self.other.stream.write(piece)

    def finished(self) -> None:
        self.other.stream.close()

    def ended(self, error: Exception | None) -> None:
        self.other.stream.close()

    def writable(self, yes: bool) -> None: ...


class Errors(logging.Handler):
    """What anybody complains of; peers that break the rules are told so, and are nothing to complain of."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


async def numbers(dice: Random) -> AsyncIterator[int]:
    for number in range(dice.randrange(60)):
        yield number
        if number % 7 == 0:
            await asyncio.sleep(dice.random())


async def read(items: Any, most: int) -> int:
    count = 0
    async for _ in items:
        count += 1
        if count >= most:
            break
    return count


def work(dice: Random, peer: Peer, client: bool) -> Coroutine[Any, Any, Any]:
    timeout = dice.choice((0.5, 3.0, LONGEST))
    match dice.randrange(6 if client else 5):
        case 0:
            return peer.call("wait", seconds=0.001, timeout=timeout)
        case 1:
            return read(peer.stream("count", to=dice.choice((0, 5, 300)), timeout=timeout), 1000)
        case 2:
            return read(peer.stream("count", to=500, timeout=timeout), 3)
        case 3:
            return read(peer.stream("copy", source=numbers(dice), timeout=timeout), 1000)
        case 4:
            return peer.call("tick", value="x" * dice.randrange(900), timeout=timeout)
        case _:
            return asyncio.wait_for(read(peer.subscribe("ticks", after=0), dice.randrange(1, 9)), LONGEST)


async def play(dice: Random, clock: Clock) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    mischief = dice.choice((0.0, 0.01, 0.1, 0.4))
    near, far = Middle(dice, mischief), Middle(dice, mischief)
    near.other, far.other = far, near
    peers: list[Peer] = []
    links: list[FrameLink] = []
    for side, face in ((Side.CLIENT, near), (Side.SERVER, far)):
        peer = Peer(LIMITS, offered(), ADA)
        link = FrameLink(side, LIMITS, peer)
        memory.pair(link, face, limits=LIMITS)
        link.session.skip_login()
        peer.use(link)
        peers.append(peer)
        links.append(link)
    works = []
    for _ in range(dice.randrange(30)):
        which = dice.randrange(2)
        works.append(asyncio.create_task(work(dice, peers[which], client=which == 0)))
        if dice.random() < 0.5:
            await clock.advance(dice.random())
    await clock.advance(2 * LONGEST)
    assert all(each.done() for each in works), "a call outlived its deadline"
    for each in works:
        error = each.exception()
        assert error is None or isinstance(error, TielineError | TimeoutError), repr(error)
        assert mischief or not isinstance(error, LinkError), repr(error)
    for link in links:
        link.stream.abort()
    await clock.advance(LONGEST)
    assert all(link.ended_with is not None for link in links)
    assert not any(peer.running for peer in peers)
    assert len(asyncio.all_tasks()) == 1, asyncio.all_tasks()
    assert not complaints, complaints


def once(dice: Random) -> None:
    errors, clock = Errors(), Clock()
    logger = logging.getLogger("tieline")
    logger.addHandler(errors)
    propagates, logger.propagate = logger.propagate, False
    try:
        clock.run(play(dice, clock))
    finally:
        logger.removeHandler(errors)
        logger.propagate = propagates
    assert not errors.said, errors.said

"""A transfer from its beginning to its end over as many lanes as it takes: when one breaks, the next goes on.

The loop hands out tokens and hears how it goes; the work is done by one thread in plain blocking code.
"""

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from tieline.errors import DeadlineExceeded, LinkClosed, LinkError, Overloaded, Unavailable
from tieline.files.tally import Tally, Transferred
from tieline.lanes.connection import Lane
from tieline.limits import Limits
from tieline.link.dial import backoff
from tieline.promise import let_go, settle

Ask = Callable[[], Awaitable[bytes]]
"Gets a token for a lane over the link."
Dial = Callable[[bytes], Lane]
"An open lane for such a token; blocking."
Work = Callable[[Lane], Any]
"What is to be done over one lane; done again from the beginning over the next when that breaks."

_QUEUE = 2.0
"Seconds, more or less, until a server that serves no more lanes is asked again."
TRIES = 8
"Lanes that may break one after another without anything having been done."
_AGAIN = (LinkError, Unavailable, DeadlineExceeded)


class Transfer:
    """`await run(work)`; cancelling it cuts the lane and waits for the thread."""

    def __init__(self, dial: Dial, ask: Ask, tally: Tally, limits: Limits) -> None:
        self._dial = dial
        self._ask = ask
        self._tally = tally
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._lane: Lane | None = None
        self._asking: Future[bytes] | None = None

    async def run(self, work: Work) -> Transferred:
        over: asyncio.Future[None] = self._loop.create_future()
        thread = threading.Thread(target=self._thread, args=(work, over), name="tieline.transfer", daemon=True)
        thread.start()
        try:
            await let_go(over, self._cut)
        finally:
            thread.join()
        return self._tally.result()

    def _cut(self) -> None:
        self._stop.set()
        if self._asking is not None:
            self._asking.cancel()
        with self._lock:
            if self._lane is not None:
                self._lane.stop(LinkClosed("the transfer was stopped"))

    # -- in the thread -------------------------------------------------------------------------------------------

    def _thread(self, work: Work, over: "asyncio.Future[None]") -> None:
        error: BaseException | None = None
        try:
            self._attempts(work)
        except BaseException as raised:  # all of it is raised where the thread is waited for
            error = raised
        try:
            self._loop.call_soon_threadsafe(settle, over, error)
        except RuntimeError:
            pass  # the loop was closed: nobody waits

    def _attempts(self, work: Work) -> None:
        tries = 0
        queued = time.monotonic()
        while True:
            try:
                self._once(work)
                if not self._tally.damaged or tries >= TRIES:
                    self._tally.tell(now=True)
                    return
                tries += 1
            except Overloaded as error:
                if time.monotonic() > queued + self._limits.lane_queue:
                    raise
                self._tally.tell(f"{error}; waiting")
                self._stop.wait(_QUEUE * (0.5 + random.random()))
            except _AGAIN as error:
                if self._stop.is_set():
                    raise
                tries = 1 if self._tally.has_come_further() else tries + 1
                if tries > TRIES:
                    raise
                self._tally.tell(f"{error}; trying again")
                self._stop.wait(backoff(tries - 1, random.random()))
            if self._stop.is_set():
                raise LinkClosed("the transfer was stopped")

    def _once(self, work: Work) -> None:
        self._asking = asyncio.run_coroutine_threadsafe(_ask(self._ask), self._loop)
        try:
            token = self._asking.result()
        except CancelledError:
            raise LinkClosed("the transfer was stopped") from None
        lane = self._dial(token)
        with self._lock:
            self._lane = lane
        try:
            if self._stop.is_set():
                raise LinkClosed("the transfer was stopped")
            self._tally.begin()
            with lane.working():
                work(lane)
        finally:
            with self._lock:
                self._lane = None
            lane.close()
            self._tally.wire_bytes += lane.bytes_in + lane.bytes_out


async def _ask(ask: Ask) -> bytes:
    return await ask()

"""Threads for the disk, so that the loop never waits for it, and nobody for what another does there.

Three kinds of work have threads of their own: looking (list, stat, read), keeping (what ends on the disk, and waits for
it), and what takes long and is in no hurry. Of the first two one account has half at most.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

EACH = 8
"Threads to look, and as many to keep; more work waits in line."
UNHURRIED = 4
"Threads for digests, for the trash and for surveys."
P = ParamSpec("P")
T = TypeVar("T")


class _Pool:
    """Threads of one kind. An account that has half of them waits for itself."""

    def __init__(self, name: str) -> None:
        self.threads = ThreadPoolExecutor(EACH, thread_name_prefix=f"tieline-files-{name}")
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._wanted: Counter[str] = Counter()

    async def run(self, account: str, work: Callable[[], T]) -> T:
        turns = self._turns.setdefault(account, asyncio.Semaphore(EACH // 2))
        self._wanted[account] += 1
        try:
            await turns.acquire()
        except asyncio.CancelledError:
            self._over(account)
            raise
        try:
            working = asyncio.get_running_loop().run_in_executor(self.threads, work)
        except RuntimeError:  # no more threads, or closed
            turns.release()
            self._over(account)
            raise

        def done(_: object) -> None:
            turns.release()
            self._over(account)

        # It counts until the thread is done, also when nobody waits for it any more.
        working.add_done_callback(done)
        return await asyncio.shield(working)

    def _over(self, account: str) -> None:
        self._wanted[account] -= 1
        if not self._wanted[account]:
            del self._wanted[account], self._turns[account]


class Threads:
    """One for a server, until `close()`."""

    def __init__(self) -> None:
        self._looking = _Pool("look")
        self._keeping = _Pool("keep")
        self._unhurried = ThreadPoolExecutor(UNHURRIED, thread_name_prefix="tieline-files-slow")

    @property
    def unhurried(self) -> Executor:
        return self._unhurried

    async def look(self, account: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something short that only reads. What was begun is carried to its end, whoever is cancelled."""
        return await self._looking.run(account, lambda: work(*args, **kwargs))

    async def keep(self, account: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something that is on the disk when it is done; likewise."""
        return await self._keeping.run(account, lambda: work(*args, **kwargs))

    async def close(self) -> None:
        """Wait for what is being done; what waits in line is not begun."""
        for threads in (self._looking.threads, self._keeping.threads, self._unhurried):
            await asyncio.to_thread(threads.shutdown, wait=True, cancel_futures=True)

"""One background thread with an asyncio loop of its own, shared by all blocking clients of the process.

Started by the first who needs it. At exit its tasks are cancelled, so that what they hold is closed, and the thread
ends. A forked child begins its own: it must not touch a loop that the parent still uses.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from tieline.errors import DeadlineExceeded, LinkClosed
from tieline.transports.loops import fastest

T = TypeVar("T")
_STOPPING = 3.0  # seconds for what is open to say goodbye at exit


class LoopThread:
    """`run` a coroutine there and wait for it; `submit` it and do not. From any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._leave: asyncio.Event
        self.disown: set[Callable[[], None]] = set()
        "Called in a forked child: let go of what the parent has open, without a word to anybody."
        self._over = ""  # why nothing runs here any more
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tieline.sync", daemon=True)
        self._thread.start()
        self._started.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result, or its exception as it is. An interrupt (Ctrl-C) while waiting cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("this would wait for its own thread: a handler of a blocking client uses `thread=True`")
        future: Future[T] = Future()
        try:
            return self.wait(self.submit(coroutine, future))
        except BaseException:  # an interrupt may have come before `submit` returned, and the coroutine runs already
            future.cancel()
            raise

    def wait(self, future: "Future[T]") -> T:
        """The same for what was submitted."""
        try:
            return future.result()
        except CancelledError:
            raise LinkClosed(self._over or "the call was stopped") from None
        except BaseException:  # Ctrl-C too: what nobody waits for any more is ended
            future.cancel()
            raise

    def submit(self, coroutine: Coroutine[Any, Any, T], future: "Future[T] | None" = None) -> "Future[T]":
        """Run it there; cancelling the future cancels it. Raises LinkClosed when the thread is over."""
        future = Future() if future is None else future
        if not self._over:
            try:
                self._loop.call_soon_threadsafe(self._begin, coroutine, future)
                return future
            except RuntimeError:
                pass  # it ended this very moment
        coroutine.close()
        raise LinkClosed(self._over or "the program is ending")

    @property
    def alive(self) -> bool:
        """False at exit, and in a forked child."""
        return not self._over

    def _begin(self, coroutine: Coroutine[Any, Any, T], future: "Future[T]") -> None:
        if future.cancelled():
            coroutine.close()
            return
        task = self._loop.create_task(coroutine)
        task.add_done_callback(lambda done: _settle(future, done))
        future.add_done_callback(lambda done: self.soon(task.cancel) if done.cancelled() else None)

    def soon(self, action: Callable[[], object]) -> None:
        """Do it there, some time; not at all when the thread is over. Fine in a `__del__`."""
        if not self._over:
            try:
                self._loop.call_soon_threadsafe(action)
            except RuntimeError:
                pass

    def stop(self) -> None:
        """Cancel what runs, and end."""
        if not self._over:
            self.soon(self._leave.set)
            self._over = "the program is ending"
            self._thread.join(_STOPPING)

    def tasks(self) -> set[asyncio.Task[Any]]:
        """What runs there now."""
        return asyncio.all_tasks(self._loop)

    def left_behind(self) -> None:
        """This is a forked child: the thread exists in the parent only."""
        self._over = "this client was opened before a fork and belongs to the parent; connect again in the child"
        for task in self.tasks():
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio.gather does
        for action in self.disown:
            action()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=fastest()) as runner:
            runner.run(self._wait())

    async def _wait(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        self._started.set()
        await self._leave.wait()


def _settle(future: "Future[T]", task: "asyncio.Task[T]") -> None:
    if task.cancelled():
        future.cancel()
    error = None if task.cancelled() else task.exception()
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


_lock = threading.Lock()
_shared: LoopThread | None = None
_left: list[Any] = []  # of the parent; kept, because their end would touch what the parent uses


def shared() -> LoopThread:
    """The thread of this process."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = LoopThread()
            atexit.register(_shared.stop)
        return _shared


@contextmanager
def entered(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[tuple[LoopThread, T]]:
    """The shared thread, and what `make()` gives there; leaving closes it there."""

    async def enter() -> tuple[AbstractAsyncContextManager[T], T]:
        context = make()
        return context, await context.__aenter__()

    thread = shared()
    context, what = thread.run(enter())
    try:
        yield thread, what
    finally:
        if thread.alive:
            thread.run(context.__aexit__(None, None, None))


async def within(work: Coroutine[Any, Any, T], timeout: float | None) -> T:
    """Raises DeadlineExceeded when it takes longer than `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await work
    except TimeoutError as error:
        raise DeadlineExceeded(f"nothing within {timeout:g} s; all is as before") from error


def _before_fork() -> None:
    # The child loses the thread and with it the last reference to its tasks, whose ends would then run there.
    if _shared is not None:
        _left.append(_shared.tasks())


def _after_fork_in_parent() -> None:
    if _shared is not None:
        _left.pop()


def _after_fork_in_child() -> None:
    global _shared, _lock
    _lock = threading.Lock()  # another thread may have held it
    if _shared is not None:
        _shared.left_behind()
        _left.append(_shared)
        _shared = None


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)

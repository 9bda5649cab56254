"""A command that goes on for as long as it is read: it ends when the program that reads its output has gone."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT = 1


@contextmanager
def while_read() -> Iterator[None]:
    """Raises BrokenPipeError in the block when nobody reads standard output any more, not only at the next write.

    Only a pipe tells; with a file or terminal the block is as without.
    """
    import asyncio  # `tieline --help` loads this module too, and should be fast

    if not stat.S_ISFIFO(os.fstat(STDOUT).st_mode):
        yield
        return
    task, loop, gone = asyncio.current_task(), asyncio.get_running_loop(), False
    assert task is not None

    def leave() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(STDOUT)
        task.cancel()

    # Nothing is ever to be read from a pipe's writing end: what is reported is that its reader has gone.
    loop.add_reader(STDOUT, leave)
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
    finally:
        loop.remove_reader(STDOUT)
